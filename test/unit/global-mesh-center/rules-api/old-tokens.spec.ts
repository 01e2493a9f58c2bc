/**
 * Ten tabs that somebody forgot, with a token that was taken back, at the port of a center, for as long as they like.
 */
import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ApiAnswers } from '../../../../agent/control/rules-api/api-answers.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import { ApiServer } from '../../../../global-mesh-center/rules-api/api-server.ts'
import { Tokens } from '../../../../global-mesh-center/rules-api/tokens.ts'

const good = 'g'.repeat(40)
const old = 'o'.repeat(40)
const tabs = 10
/** Questions of each tab: with one in 2 s, more than an hour; so many more before, until nothing is new any more. */
const rounds = 2000
const warmUp = 1000

describe('ten tabs with an old token', function () {
  this.timeout(120_000)
  let folder: string
  let server: ApiServer
  let port: number
  let lines: number
  let ahead: number
  const agent = new Agent({ keepAlive: true })

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-old-tokens-'))
    const file = join(folder, 'tokens')
    writeFileSync(file, `- { user: alice, token: ${good}, role: read }\n`, { mode: 0o600 })
    lines = 0
    ahead = 0
    const clock = { ...systemClock, monotonic: () => ahead }
    const answers = {
      async answer(
        _incoming: unknown,
        outgoing: { writeHead(status: number): { end(): void } },
        userOf: () => unknown,
      ) {
        let status = 200
        try {
          userOf()
        } catch (error) {
          ;({ status } = error as { status: number })
        }
        outgoing.writeHead(status).end()
      },
    } as unknown as ApiAnswers
    const log = { debug() {}, info() {}, warn: () => void lines++, error() {} }
    server = new ApiServer(
      {
        address: { host: '127.0.0.1', port: 0 },
        tls: undefined,
        tokens: new Tokens(file, () => ahead),
        withoutToken: undefined,
      },
      { clock, log, metrics: { count() {}, gauge() {} } as never, answers },
    )
    port = await server.listen()
  })
  after(async () => {
    agent.destroy()
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (token: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` }
      const outgoing = request(
        { host: '127.0.0.1', port, agent, path: '/console/data/events', headers },
        (incoming) => {
          incoming.resume().once('end', () => resolve(incoming.statusCode ?? 0))
        },
      )
      outgoing.once('error', reject).end()
    })
  const look = async (count: number): Promise<void> => {
    const tab = async (): Promise<void> => {
      for (let asked = 0; asked < count; asked++) {
        expect(await ask(old)).to.equal(401)
        ahead += 200
      }
    }
    await Promise.all(Array.from({ length: tabs }, tab))
  }

  it('leave nothing behind with each question, fill no log, and keep nobody waiting', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const used = (): number => {
      collect()
      return process.memoryUsage().heapUsed
    }
    await look(warmUp)
    const from = used()
    lines = 0
    const began = ahead
    let isOver = false
    let answered = 0
    const alice = (async () => {
      while (!isOver) {
        expect(await ask(good)).to.equal(200)
        answered++
      }
    })()
    await look(rounds)
    isOver = true
    await alice
    const grown = (used() - from) / (tabs * rounds)
    // what is kept for a question would be an object at least; a day of ten tabs is 432,000 of them
    expect(grown, 'bytes for a question').to.be.below(32)
    expect(lines, 'a line in a second').to.be.within(1, (ahead - began) / 1000 + 1)
    expect(answered, 'somebody with a good one has her turn').to.be.above(rounds / 4)
  })
})
