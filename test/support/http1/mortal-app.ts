/**
 * An application that dies young: answers POSTs on the port of its first argument after 0 to 10 ms, and closes
 * connections that were idle for 3 ms. Before the answer it writes the request's `x-id` to stdout: that is the
 * execution, and it stays written when the process is killed.
 */
import { writeSync } from 'node:fs'
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    writeSync(1, `${request.headers['x-id'] as string}\n`)
    setTimeout(() => response.end('done'), Math.random() * 10)
  })
})
server.keepAliveTimeout = 3
server.keepAliveTimeoutBuffer = 0
const listen = (): void => void server.listen(Number(process.argv[2]), '127.0.0.1')
server.once('listening', () => writeSync(1, 'ready\n'))
// between its death and its next start the port is anybody's: another test of the machine may be looking whether it is
// free
server.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRINUSE') throw error
  setTimeout(listen, 50)
})
listen()
