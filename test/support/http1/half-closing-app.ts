/**
 * An application that says FIN on kept-alive connections, without `Connection: close` and up to 3 ms after an answer,
 * and goes on reading: a POST that comes then is executed, and the connection reset before anything of it is
 * acknowledged. Writes the `x-id` of what it executes to stdout. Listens on the port of its first argument.
 */
import { writeSync } from 'node:fs'
import { createServer } from 'node:net'

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let hasEnded = false
  socket.on('error', () => undefined)
  socket.on('end', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    const id = /x-id: (.*)\r\n/i.exec(bytes.toString('latin1'))![1]!
    writeSync(1, `${id}\n`)
    if (hasEnded) {
      socket.resetAndDestroy()
      return
    }
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    setTimeout(() => {
      hasEnded = true
      socket.end()
    }, Math.random() * 3)
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => writeSync(1, 'ready\n'))
