// A shop that sells what `orders` and `stock` say, in the mesh or without it.
//   NACOS=10.0.0.2:8848 node shop.mjs
// `kill -USR1` makes it leave the mesh, `kill -USR2` brings it back.
import { createServer } from 'node:http'
import { createMesh } from '@hostmesh/sdk'

const { AGENT, DATA = '/tmp/shop', HOST, NACOS, PORT = '8080' } = process.env
const log = (level) => (_fields, message) => console.error(level, message)

const mesh = createMesh({
  application: 'shop',
  dataDirectory: DATA,
  ...(AGENT === undefined ? {} : { agent: AGENT }),
  ...(NACOS === undefined ? {} : { nacos: { servers: [NACOS], allowLoopbackEndpoints: true } }),
  log: { debug() {}, info: log('info'), warn: log('warn'), error: log('error') },
})
await mesh.ready()

const server = createServer(async (request, response) => {
  if (request.url === '/status') return response.end(JSON.stringify(mesh.status()))
  try {
    const reply = await mesh.fetch('http://orders/')
    const tier = reply.headers.get('x-mesh-tier') ?? 'agent'
    response.end(`${await reply.text()} by ${tier}\n`)
  } catch (error) {
    response.writeHead(502).end(`${error.cause?.message ?? error.message}\n`)
  }
})

server.listen(Number(PORT), HOST ?? '0.0.0.0', () => {
  const { port } = server.address()
  mesh.register({ service: 'shop', port, protocol: 'http', ...(HOST === undefined ? {} : { address: HOST }) })
  console.log(`listening on ${port}`)
})

process.on('SIGUSR1', () => mesh.setMode('direct'))
process.on('SIGUSR2', () => mesh.setMode('mesh'))
process.once('SIGTERM', async () => {
  server.close()
  server.closeAllConnections()
  await mesh.close()
})
