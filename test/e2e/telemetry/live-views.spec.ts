import { expect } from 'chai'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { entryPoint } from '../../../cli/entry-point.ts'
import { closing } from '../../support/closing.ts'
import { until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'

const run = promisify(execFile)

interface Row {
  id: string
  protocol: string
  listener: string
  peer: string
  requests?: number
}

describe('live views of a running host', function () {
  this.timeout(180_000)
  let pair: TracedPair

  before(async () => {
    pair = await tracedPair({})
  })
  after(() => pair?.close())

  const hostmesh = async (...words: string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [entryPoint('cli/main'), ...words, '-c', pair.alpha.configPath])
    return stdout
  }

  it('top says what passes, with failures', async () => {
    const watching = hostmesh('top', '--once', '--json', '--interval', '3s')
    let isOver = false
    void watching.finally(() => (isOver = true))
    while (!isOver) await pair.ask()
    const answer = JSON.parse(await watching) as { tier: string; workers: number; services: Record<string, unknown>[] }
    expect(answer).to.include({ tier: 'agent', workers: 1 })
    const orders = answer.services.find((row) => row['service'] === 'orders' && row['side'] === 'out')!
    expect(orders['perSecond']).to.be.above(1)
    expect(orders['failedShare']).to.equal(0)
    expect(orders['p99']).to.be.above(0)
  })

  it('top fills a terminal, sorts by a key, follows its size, and leaves it as it was', async () => {
    const command = [
      process.execPath,
      entryPoint('cli/main'),
      'top',
      '--interval',
      '200ms',
      '-c',
      pair.alpha.configPath,
    ]
    // the shell inside is told to make its terminal smaller
    const shell = `stty cols 90 rows 20; tty; ${command.join(' ')}; echo left $?`
    const child = spawn('script', ['-qfec', shell, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const since = (mark: string): string => text.slice(text.lastIndexOf(mark))
    const seen = (what: string, wanted: () => boolean): Promise<unknown> =>
      until(30_000, what, async () => {
        await pair.ask()
        return wanted()
      })
    await seen('rows by rate', () => /req\/s\*/.test(text) && /orders +out/.test(text))
    expect(text).to.include('\u001b[?1049h')
    child.stdin.write('p')
    await seen('rows by p99', () => /p99 ms\*/.test(text))
    const terminal = /\/dev\/pts\/\d+/.exec(text)![0]
    await run('stty', ['-F', terminal, 'cols', '30', 'rows', '6'])
    await seen('lines of the new size', () => since('\u001b[H').includes('…'))
    child.stdin.write('q')
    const [code] = (await once(child, 'close')) as [number]
    expect(code).to.equal(0)
    expect(since('\u001b[?1049l')).to.include('left 0')
  })

  it('tap shows the requests of a service as they end, and only those that are asked for', async () => {
    const child = spawn(
      process.execPath,
      [
        entryPoint('cli/main'),
        'tap',
        'orders',
        '--path',
        '/wanted',
        '--count',
        '2',
        '--json',
        '-c',
        pair.alpha.configPath,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const lines: Record<string, unknown>[] = []
    createInterface({ input: child.stdout }).on('line', (line) =>
      lines.push(JSON.parse(line) as Record<string, unknown>),
    )
    // its last line may come behind its exit
    const exited = once(child, 'close')
    let isOver = false
    void exited.then(() => (isOver = true))
    for (let round = 0; !isOver; round++) {
      await pair.ask({}, `/wanted/${round}?key=secret`)
      await pair.ask({}, '/other')
    }
    expect((await exited)[0]).to.equal(0)
    expect(lines).to.have.length(2)
    for (const line of lines) {
      expect(line['path']).to.match(/^\/wanted\/\d+$/)
      expect(line).to.include({ service: 'orders', status: 200, tier: 'agent' })
    }
  })

  /** A command that goes on until Ctrl-C: what it has said, and how it ended. */
  function following(...words: string[]): { said: () => string; stop: () => Promise<unknown> } {
    const child = spawn(process.execPath, [entryPoint('cli/main'), ...words, '-c', pair.alpha.configPath])
    const exited = once(child, 'exit')
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    return {
      said: () => text,
      stop: async () => {
        child.kill('SIGINT')
        return ((await exited) as [number])[0]
      },
    }
  }

  it('connections of one listener are cut, whatever is in flight, and no others', async () => {
    const ledger = await pair.mesh.lineApplication('ledger', 'v1')
    pair.mesh.tell('ledger', [{ address: ledger.address, port: ledger.port }])
    const told = JSON.parse(await hostmesh('outbound', 'add', 'ledger', '--protocol', 'tcp', '--json')) as {
      address: string
      port: number
    }
    const other = connect(15_001, pair.alpha.options.address)
    await once(other, 'connect')
    let socket = connect(told.port, told.address)
    let said = ''
    // refused until the workers listen
    await until(30_000, 'an answer of the ledger', async () => {
      if (said !== '') return true
      socket.destroy()
      socket = connect(told.port, told.address)
      socket.on('error', () => {}).on('data', (chunk: Buffer) => (said += chunk.toString()))
      socket.write('hello\n')
      await new Promise<void>((resolve) => socket.once('data', () => resolve()).once('close', () => resolve()))
      return said !== ''
    })
    const list = async (...words: string[]): Promise<Row[]> =>
      (JSON.parse(await hostmesh('connections', 'list', ...words, '--json')) as { connections: Row[] }).connections
    const at = `${socket.localAddress}:${socket.localPort}`
    const [row] = await list('--peer', at.split(':')[0]!, '--protocol', 'tcp')
    const listener = 'outbound public/DEFAULT_GROUP@@ledger'
    expect(row).to.include({ listener, peer: at })
    // cut: it is reset
    const closed = closing(socket)
    const end = JSON.parse(await hostmesh('connections', 'close', '--listener', listener, '--cut', '--json'))
    expect(end).to.deep.include({ total: 1 })
    await closed
    expect(await list('--protocol', 'tcp')).to.deep.equal([])
    expect((await list('--protocol', 'http1')).map(({ peer }) => peer)).to.include(
      `${other.localAddress}:${other.localPort}`,
    )
    other.destroy()
    await hostmesh('outbound', 'remove', 'ledger')
  })

  it('connections are listed, followed and ended, those that are named', async () => {
    const open = async () => {
      const socket = connect(15_001, pair.alpha.options.address)
      await once(socket, 'connect')
      socket.on('error', () => {})
      return socket
    }
    const [first, second] = [await open(), await open()]
    const list = async (): Promise<Row[]> =>
      (JSON.parse(await hostmesh('connections', 'list', '--protocol', 'http1', '--json')) as { connections: Row[] })
        .connections
    // a socket that is closed does not know its address any more
    const [named, kept] = [first, second].map((socket) => `${socket.localAddress}:${socket.localPort}`) as [
      string,
      string,
    ]
    await until(30_000, 'both are seen', async () => {
      const peers = (await list()).map(({ peer }) => peer)
      return peers.includes(named) && peers.includes(kept)
    })
    const follow = following('connections', 'follow', '--protocol', 'http1')
    await until(30_000, 'both are open', async () => [named, kept].every((one) => follow.said().includes(one)))
    const closed = closing(first)
    first.resume()
    const row = (await list()).find(({ peer }) => peer === named)!
    expect(row).to.include({ listener: 'outbound-http', requests: 0 })
    expect(JSON.parse(await hostmesh('connections', 'close', row.id, '--json'))).to.deep.include({ total: 1 })
    await closed
    const end = new RegExp(`closed.*${named}`)
    await until(30_000, 'the end is told', async () => end.test(follow.said()))
    expect(await follow.stop()).to.equal(0)
    expect((await list()).map(({ peer }) => peer))
      .to.include(kept)
      .and.not.include(named)
    second.destroy()
  })

  it('requests in flight are listed, followed and ended, those that are named', async () => {
    const follow = following('streams', 'follow', '--service', 'orders')
    const socket = connect(15_001, pair.alpha.options.address)
    const closed = closing(socket)
    socket.resume()
    socket.on('error', () => {})
    socket.write('POST /long HTTP/1.1\r\nHost: orders\r\nContent-Length: 10\r\n\r\nabc')
    const list = async (): Promise<{ id: string; path: string }[]> => {
      const text = await hostmesh('streams', 'list', '--service', 'orders', '--json')
      return (JSON.parse(text) as { streams: { id: string; path: string }[] }).streams
    }
    await until(30_000, 'it is seen', async () => (await list()).some(({ path }) => path === '/long'))
    const { id } = (await list()).find(({ path }) => path === '/long')!
    await until(30_000, 'it is told', async () => /open.*\/long/.test(follow.said()))
    expect(await hostmesh('streams', 'list')).to.match(/POST \/long/)
    expect(JSON.parse(await hostmesh('streams', 'close', id, '--json'))).to.deep.include({ total: 1 })
    await closed
    await until(30_000, 'its end is told', async () => /closed.*\/long/.test(follow.said()))
    expect(await follow.stop()).to.equal(0)
    expect((await list()).filter(({ path }) => path === '/long')).to.deep.equal([])
  })

  it('ending everything by saying nothing is refused, and a filter that does not exist is no filter', async () => {
    const bad = async (...words: string[]): Promise<string> => {
      try {
        await hostmesh(...words)
      } catch (error) {
        return (error as { stderr: string }).stderr
      }
      return 'exit code 0'
    }
    expect(await bad('connections', 'close')).to.match(/which connections\?/)
    expect(await bad('streams', 'close')).to.match(/which streams\?/)
    expect((await pair.alpha.admin.get('/streams?min=1')).status).to.equal(400)
    expect((await pair.alpha.admin.post('/streams/close', { ids: ['1-1'] })).status).to.equal(400)
    expect(await bad('tap', '--status', '6xx')).to.match(/allowed is 404 or 5xx/)
    expect((await pair.alpha.admin.get('/connections?listner=x')).status).to.equal(400)
    expect((await pair.alpha.admin.post('/connections/close', { ids: [], how: 'cut' })).status).to.equal(400)
    expect((await pair.alpha.admin.post('/connections/close', { ids: ['1-1'], how: 'burn' })).status).to.equal(400)
  })
})
