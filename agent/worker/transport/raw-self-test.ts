/**
 * Tries on loopback, in this very process, everything that the data path expects of `raw-handle.ts`: echo, a write that
 * the kernel takes at once, one that it does not, waiting without reading, half-close, end of file, reset. Takes a few
 * milliseconds.
 */
import type { Output } from './output.ts'
import type { Transport, Transports } from './transport.ts'

/**
 * Far more than the kernel's buffers of a loopback connection hold (tcp_wmem and tcp_rmem go to 4 and 6 MiB by
 * default).
 */
const slowWriteBytes = 64 * 1024 * 1024
const slowWriteStep = 64 * 1024
const timeLimitMs = 2000

/** Rejects with what was expected and what came instead. */
export async function proveTransports(transports: Transports, output: Output): Promise<void> {
  const accepted: Transport[] = []
  const listener = await transports.listen(
    { address: '127.0.0.1', port: 0, backlog: 8, reusePort: false },
    (transport) => accepted.push(transport),
  )
  const opened: Transport[] = []
  let timer: NodeJS.Timeout | undefined
  try {
    const timeLimit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no end after ${timeLimitMs} ms`)), timeLimitMs)
    })
    await Promise.race([run(transports, listener.port, output, accepted, opened), timeLimit])
  } finally {
    clearTimeout(timer)
    for (const transport of [...accepted, ...opened]) transport.close()
    listener.close()
  }
}

async function run(transports: Transports, port: number, output: Output, accepted: Transport[], opened: Transport[]) {
  const near = await dial(transports, port)
  opened.push(near)
  const far = await acceptedAt(accepted, 0)

  const echo = received(far, 5)
  output.latin1('hello')
  if (!near.write(output)) throw new Error('a small write waited')
  const echoed = await echo
  if (echoed !== 'hello') throw new Error(`sent hello, received ${JSON.stringify(echoed)}`)

  // Forced slow write: nobody reads on the far side yet.
  far.pauseReading()
  const drained = new Promise<void>((resolve) => {
    near.owner = { onBytes() {}, onEnd() {}, onClosed() {}, onDrained: resolve }
  })
  const step = Buffer.alloc(slowWriteStep, 'x')
  let sent = slowWriteStep
  for (output.append(step); near.write(output); output.append(step)) {
    sent += slowWriteStep
    if (sent > slowWriteBytes) throw new Error(`${slowWriteBytes} bytes were taken at once`)
  }
  if (near.pendingBytes === 0) throw new Error('a waiting write has no pending bytes')
  const all = counted(far, sent)
  far.resumeReading()
  await Promise.all([drained, all])

  if (transports.kind !== 'public') {
    const waited = await readableThenBytes(far, (text) => {
      output.latin1(text)
      near.write(output)
    })
    if (waited !== 'later') throw new Error(`waited for later, received ${JSON.stringify(waited)}`)
  }

  // Half-close: the near side ends, the far side still answers.
  const ended = new Promise<void>((resolve) => {
    far.owner = { onBytes() {}, onDrained() {}, onClosed() {}, onEnd: resolve }
  })
  near.end()
  await ended
  const answer = received(near, 3)
  output.latin1('bye')
  far.write(output)
  if ((await answer) !== 'bye') throw new Error('no answer after a half-close')

  // Reset.
  const broken = new Promise<string>((resolve) => {
    near.owner = { onBytes() {}, onDrained() {}, onEnd: () => resolve('end of file'), onClosed: resolve }
  })
  near.resumeReading()
  far.reset()
  const reason = await broken
  if (reason !== 'ECONNRESET') throw new Error(`a reset was seen as ${reason}`)

  const refused = await new Promise<string>((resolve) => {
    transports.dial('127.0.0.1', 1, (transport, error) => {
      transport?.close()
      resolve(error)
    })
  })
  if (refused === '') throw new Error('port 1 took a connection')
}

function dial(transports: Transports, port: number): Promise<Transport> {
  return new Promise((resolve, reject) => {
    transports.dial('127.0.0.1', port, (transport, reason) => {
      if (transport === null) reject(new Error(`dial: ${reason}`))
      else resolve(transport)
    })
  })
}

async function acceptedAt(accepted: Transport[], index: number): Promise<Transport> {
  for (;;) {
    const transport = accepted[index]
    if (transport !== undefined) return transport
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function received(transport: Transport, count: number): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    transport.owner = {
      onBytes(bytes, length) {
        text += bytes.toString('latin1', 0, length)
        if (text.length >= count) resolve(text)
      },
      onEnd() {},
      onDrained() {},
      onClosed(reason) {
        resolve(reason)
      },
    }
    transport.resumeReading()
  })
}

/** What is read once `onReadable` told of it. `send` makes bytes come. */
function readableThenBytes(transport: Transport, send: (text: string) => void): Promise<string> {
  return new Promise((resolve) => {
    let wasTold = false
    transport.owner = {
      onBytes(bytes, length) {
        const text = bytes.toString('latin1', 0, length)
        if (text !== 'first') {
          resolve(wasTold ? text : `${text}, untold`)
          return
        }
        transport.awaitReadable(true)
        send('later')
      },
      onReadable() {
        wasTold = true
        transport.awaitReadable(false)
      },
      onEnd() {},
      onDrained() {},
      onClosed: resolve,
    }
    send('first')
  })
}

function counted(transport: Transport, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0
    transport.owner = {
      onBytes(_bytes, length) {
        seen += length
        if (seen >= count) resolve()
      },
      onEnd() {},
      onDrained() {},
      onClosed() {},
    }
  })
}
