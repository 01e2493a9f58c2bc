/** A registry of files: it is dead while its folder is away. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instance, RunningRegistry } from './running-registry.ts'

export async function runFiles({ folder }: { readonly folder: string }): Promise<RunningRegistry> {
  const directory = join(folder, 'endpoints.d')
  const away = `${directory}.away`
  await mkdir(directory)
  const known = new Map<string, Map<string, Instance>>()
  const section = { name: 'files', type: 'file', directory }
  return {
    name: 'files',
    what: 'a folder of files',
    port: 0,
    section,
    sectionBy: () => section,
    isPushing: false,
    put: async (service, instance) => {
      const all = known.get(service) ?? new Map<string, Instance>()
      known.set(service, all.set(`${instance.address}:${instance.port}`, instance))
      const made = join(directory, `.${service}`)
      await writeFile(made, JSON.stringify({ service, endpoints: [...all.values()] }))
      await rename(made, join(directory, `${service}.json`))
    },
    kill: () => rename(directory, away),
    restart: () => rename(away, directory),
    stop: async () => undefined,
  }
}
