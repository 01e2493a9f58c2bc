/** Usage: node http-proxy-3-server.ts FOLDER PORT ORIGIN_PORT; FOLDER holds the installed package. */
import { Agent } from 'node:http'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

interface ProxyServer {
  listen(port: number, address: string): void
}

const [folder = '', port = '0', originPort = '0'] = process.argv.slice(2)
const load = createRequire(`${resolve(folder)}/package.json`)
const library = load('http-proxy-3') as { createProxyServer(options: object): ProxyServer }
const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 })
library.createProxyServer({ target: `http://127.0.0.1:${originPort}`, agent }).listen(Number(port), '127.0.0.1')
