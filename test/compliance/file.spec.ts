import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileAdapter } from '../../registry-adapters/file/index.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'

const abilities = { register: false, config: false, cutOff: true, spoil: true }

describeRegistryAdapter('directory of files', abilities, async () => {
  const root = await mkdtemp(join(tmpdir(), 'hostmesh-files-'))
  const directory = join(root, 'endpoints.d')
  const away = join(root, 'away')
  await rename(await mkdtemp(join(root, 'new-')), directory)
  return {
    namespace: 'public',
    createAdapter: () =>
      createFileAdapter({ name: 'files', directory, allowLoopback: false, pollMs: 100 }, recordedDeps()),
    put: async (service, instances) => {
      const endpoints = instances.map(({ address, port, weight = 1, metadata = {} }) => ({
        address,
        port,
        weight,
        metadata,
      }))
      const file = join(directory, `${service.name}.json`)
      await writeFile(`${file}.draft`, JSON.stringify({ service: `${service.group}@@${service.name}`, endpoints }))
      await rename(`${file}.draft`, file)
    },
    spoil: (service) => writeFile(join(directory, `${service.name}.json`), '{"service": "x", "endpoints": [{'),
    cutOff: () => rename(directory, away),
    comeBack: () => rename(away, directory).catch(() => undefined),
    close: () => rm(root, { recursive: true }),
  }
})
