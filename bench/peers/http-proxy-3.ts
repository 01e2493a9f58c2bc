/** http-proxy-3: what a Node user would reach for. Installed beside the project, never into it. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePort, startProgram, untilListening } from '../processes.ts'
import type { Peer } from './peer.ts'

const folder = '.cache/peers/http-proxy-3'
const manifest = `${folder}/node_modules/http-proxy-3/package.json`

export const httpProxy3: Peer = {
  name: 'http-proxy-3',
  missing: `npm install --prefix ${folder} --ignore-scripts http-proxy-3`,
  modes: ['http'],
  version: () => {
    if (!existsSync(manifest)) return undefined
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
    return `http-proxy-3 ${version} on Node ${process.versions.node}`
  },
  start: async (options) => {
    const port = await freePort()
    const script = fileURLToPath(new URL('./http-proxy-3-server.ts', import.meta.url))
    const program = startProgram(options.cpus, process.execPath, [
      script,
      folder,
      String(port),
      String(options.originPort),
    ])
    await untilListening(port, program)
    return { port, pids: [program.pid], close: () => program.stop() }
  },
}
