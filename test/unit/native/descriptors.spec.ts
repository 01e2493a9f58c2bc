import { expect } from 'chai'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadNative, maxWaitingBatches } from '../../../native/descriptors.ts'
import { descriptorOf } from '../../../native/frame-stream.ts'
import type { Native } from '../../../native/descriptors.ts'

describe('descriptors between processes', () => {
  let folder: string
  let native: Native

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-native-'))
    const outcome = loadNative()
    if (outcome.native === undefined) throw new Error(outcome.problem)
    native = outcome.native
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('arrive as working copies, in the order in which they were sent', () => {
    const port = native.openPort(join(folder, 'a.fds'))
    const files = ['one', 'two', 'three'].map((text) => {
      writeFileSync(join(folder, text), text)
      return openSync(join(folder, text), 'r')
    })
    expect(port.send(join(folder, 'a.fds'), 7, files)).to.equal('sent')
    for (const file of files) closeSync(file)
    const got = port.take(process.pid, 7)!
    expect(got.map((descriptor) => readFileSync(descriptor, 'utf8'))).to.deep.equal(['one', 'two', 'three'])
    for (const descriptor of got) native.close(descriptor)
    port.close()
  })

  it('travel 200 in a message', () => {
    const port = native.openPort(join(folder, 'a.fds'))
    const copies = Array.from({ length: 200 }, () => native.duplicate(2))
    expect(port.send(join(folder, 'a.fds'), 1, copies)).to.equal('sent')
    const got = port.take(process.pid, 1)!
    expect(got).to.have.length(200)
    for (const descriptor of [...copies, ...got]) native.close(descriptor)
    port.close()
  })

  it('are refused above what the kernel takes', () => {
    const port = native.openPort(join(folder, 'a.fds'))
    expect(port.send(join(folder, 'a.fds'), 1, Array<number>(254).fill(2))).to.have.property('problem')
    port.close()
  })

  it('say that the receiver is gone, or that its queue is full, without waiting', () => {
    const port = native.openPort(join(folder, 'a.fds'))
    expect(port.send(join(folder, 'nobody.fds'), 1, [2])).to.equal('gone')
    const outcomes = Array.from({ length: 1000 }, (_, batch) => port.send(join(folder, 'a.fds'), batch, []))
    expect(outcomes[0]).to.equal('sent')
    expect(outcomes.at(-1)).to.equal('full')
    port.close()
  })

  it('are closed when nobody asks for them, so that a confused sender cannot use up our descriptors', () => {
    const path = join(folder, 'a.fds')
    const port = native.openPort(path)
    const before = countOpen()
    for (let batch = 0; batch < 3 * maxWaitingBatches; batch++) {
      expect(port.send(path, batch, [2])).to.equal('sent')
      port.take(process.pid, 999_999)
    }
    expect(countOpen() - before).to.be.at.most(maxWaitingBatches)
    port.close()
    expect(countOpen()).to.be.at.most(before)
  })

  it('of a listening socket let the receiver accept what the sender left in the queue', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: tcpPort } = server.address() as net.AddressInfo
    const copy = native.duplicate((server as unknown as { _handle: { fd: number } })._handle.fd)
    server.close()
    const client = net.connect(tcpPort, '127.0.0.1')
    await once(client, 'connect')
    const heir = net.createServer((socket) => socket.end('served by the heir')).listen({ fd: copy })
    const [bytes] = (await once(client, 'data')) as [Buffer]
    expect(bytes.toString()).to.equal('served by the heir')
    client.destroy()
    heir.close()
  })

  it('tells who is at the other end of a unix socket', async () => {
    const path = join(folder, 's.sock')
    const server = net.createServer().listen(path)
    await once(server, 'listening')
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const client = net.connect(path)
    const [socket] = await accepted
    const peer = native.peerCredentials((socket as unknown as { _handle: { fd: number } })._handle.fd)
    expect(peer).to.deep.equal({ pid: process.pid, uid: process.getuid!(), gid: process.getgid!() })
    client.destroy()
    socket.destroy()
    server.close()
  })

  it('refuses a lock that another process holds, and gives it when that process dies', async () => {
    const file = join(folder, 'lock')
    const code = `import { openSync } from 'node:fs'
      import { loadNative } from '${join(import.meta.dirname, '../../../native/descriptors.ts')}'
      console.log(loadNative().native.tryLock(openSync(${JSON.stringify(file)}, 'a')))
      setInterval(() => {}, 1000)`
    const other = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = (await once(other.stdout, 'data')) as [Buffer]
    expect(said.toString().trim()).to.equal('true')
    const mine = openSync(file, 'a')
    expect(native.tryLock(mine)).to.equal(false)
    other.kill('SIGKILL')
    await once(other, 'exit')
    expect(native.tryLock(mine)).to.equal(true)
    closeSync(mine)
  })

  it('tells where a listening socket listens', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const server = net.createServer().listen(0, address)
      await once(server, 'listening')
      const { port } = server.address() as net.AddressInfo
      const { fd } = (server as unknown as { _handle: { fd: number } })._handle
      expect(native.localAddress(fd)).to.deep.equal({ address, port })
      server.close()
    }
    expect(native.localAddress(2)).to.equal(undefined)
  })

  it('tells a listening socket from everything else', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    await once(client, 'connect')
    expect([descriptorOf(server), descriptorOf(client), 2, 9999].map((one) => native.isListening(one))).to.deep.equal([
      true,
      false,
      false,
      false,
    ])
    client.destroy()
    server.close()
  })

  it('lets a descriptor live through an exec when asked to', () => {
    const code = `import { openSync } from 'node:fs'
      import { loadNative } from '${join(import.meta.dirname, '../../../native/descriptors.ts')}'
      const kept = openSync('/dev/null', 'r')
      if (process.argv[1] === 'yes') loadNative().native.keepOnExec(kept)
      process.execve('/bin/sh', ['sh', '-c', 'test -e /proc/self/fd/' + kept + ' && echo kept || echo closed'])`
    const run = (word: string): string =>
      spawnSync(process.execPath, ['--input-type=module', '-e', code, word], { encoding: 'utf8' }).stdout.trim()
    expect([run('yes'), run('no')]).to.deep.equal(['kept', 'closed'])
  })

  it('reads and sets socket options', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle
    const [level, keepAlive] = [1, 9]
    expect(native.setOption(fd, level, keepAlive, 1)).to.equal(true)
    expect(native.getOption(fd, level, keepAlive)).to.equal(1)
    expect(native.setOption(9999, level, keepAlive, 1)).to.equal(false)
    server.close()
  })

  it('prints no warning that the interface is experimental', async () => {
    const code = `import { loadNative } from '${join(import.meta.dirname, '../../../native/descriptors.ts')}'
      if (!loadNative().native) process.exit(1)
      process.emitWarning('something else')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'ignore', 'pipe'] })
    let text = ''
    child.stderr.on('data', (bytes: Buffer) => (text += bytes.toString()))
    const [status] = (await once(child, 'close')) as [number]
    expect(status).to.equal(0)
    expect(text).to.not.include('FFI')
    expect(text).to.include('something else')
  })

  it('throws a named error for a descriptor that is not open', () => {
    expect(() => native.duplicate(9999)).to.throw('EBADF')
  })
})

function countOpen(): number {
  let count = 0
  for (let descriptor = 0; descriptor < 1024; descriptor++) {
    try {
      fstatSync(descriptor)
      count++
    } catch {
      // Not open.
    }
  }
  return count
}
