/** Commands that print one line after the other until somebody stops them. */
import { mock } from 'node:test'
import { expect } from 'chai'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import { events } from '../../../../cli/commands/events.ts'
import { followRows } from '../../../../cli/commands/live-rows.ts'
import { tap } from '../../../../cli/commands/tap.ts'
import type { CommandContext } from '../../../../cli/context.ts'
import { createOutput } from '../../../../cli/output.ts'
import type { EventsAnswer, MeshEvent } from '../../../../contracts/events.ts'
import { MeshError } from '../../../../contracts/errors.ts'

const event = (id: number): MeshEvent => ({
  id,
  at: id * 1000,
  kind: 'ejection',
  severity: 'info',
  about: 'orders',
  what: `number-${id}`,
  message: '',
})

describe('a command that goes on until it is stopped', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  interface Told {
    readonly context: CommandContext
    readonly asked: URLSearchParams[]
    readonly said: string[]
  }

  /** An agent that gives these answers, one after each pause; after the last one the command is stopped. */
  function answering(answers: readonly (object | MeshError)[]): Told {
    const asked: URLSearchParams[] = []
    const said: string[] = []
    const admin: AdminClient = {
      where: 'test',
      get: (path) => {
        asked.push(new URL(path, 'http://admin').searchParams)
        const answer = answers[asked.length - 1]!
        const isLast = asked.length === answers.length
        setImmediate(() => (isLast ? process.emit('SIGINT') : mock.timers.tick(1000)))
        return answer instanceof MeshError
          ? Promise.reject(answer)
          : Promise.resolve({ status: 200, text: JSON.stringify(answer) })
      },
      post: () => Promise.reject(new Error('not asked for')),
      call: () => Promise.reject(new Error('not asked for')),
    }
    const sink = { write: (text: string) => void said.push(text) }
    return { asked, said, context: { output: createOutput(false, { out: sink, err: sink }), admin, runDir: undefined } }
  }

  it('events --follow tells each event once, and that the agent was away meanwhile', async () => {
    const answer = (newest: number, ...ids: number[]): EventsAnswer => ({ events: ids.map(event), newest, oldest: 1 })
    const { asked, context, said } = answering([
      answer(2, 1, 2),
      answer(3, 3),
      new MeshError('E_ADMIN_UNREACHABLE', 'nobody answers'),
      new MeshError('E_ADMIN_UNREACHABLE', 'nobody answers'),
      answer(5, 4, 5),
    ])
    const call = { since: undefined, kind: 'ejection,breaker', follow: true }
    expect(await events(context, call, () => 0)).to.equal(0)
    expect(said.join('').match(/number-\d|asking again|answers again/g)).to.deep.equal([
      'number-1',
      'number-2',
      'number-3',
      'asking again',
      'answers again',
      'number-4',
      'number-5',
    ])
    expect(asked.map((query) => query.get('after'))).to.deep.equal([null, '2', '3', '3', '3'])
    expect(asked.map((query) => query.get('kind'))).to.deep.equal(Array(5).fill('ejection,breaker'))
  })

  it('tap orders --failed --min 1s asks for these alone, and says how many it does not show', async () => {
    const { asked, context, said } = answering([
      { requests: [], skipped: 0, problems: ['worker 1 has no room'] },
      { requests: [], skipped: 7, problems: ['worker 1 has no room'] },
    ])
    const none = { status: undefined, method: undefined, path: undefined, source: undefined, count: undefined }
    expect(await tap(context, { ...none, service: 'orders', failed: true, minMs: 1000 })).to.equal(0)
    const [id] = asked.map((query) => query.get('id'))
    const wanted = { id, service: 'orders', leastMs: '1000', failed: 'true' }
    expect(asked.map((query) => Object.fromEntries(query))).to.deep.equal([wanted, wanted])
    expect(said.join('').match(/7 more matched|worker 1 has no room/g)).to.deep.equal([
      'worker 1 has no room',
      '7 more matched',
    ])
  })

  it('tap --path says of what a worker had no room to look at that it may have matched', async () => {
    const none = { service: undefined, method: undefined, source: undefined, count: undefined, minMs: undefined }
    const saidOf = async (path: string | undefined): Promise<string> => {
      const { context, said } = answering([{ requests: [], skipped: 7, problems: [] }])
      await tap(context, { ...none, status: '5xx', failed: false, path })
      return said.join('')
    }
    expect(await saidOf('/x')).to.include('up to 7 more matched')
    expect(await saidOf(undefined))
      .to.include('7 more matched')
      .and.to.not.include('up to')
  })

  describe('follow', () => {
    const kind = { path: '/rows', key: 'rows', heading: ['id'], cells: ({ id }: { id: string }) => [id] }
    const answer = (ids: string, { problems = [] as string[], total = ids.length } = {}) => ({
      rows: ids.split('').map((id) => ({ id })),
      problems,
      total,
    })
    async function lines(...answers: object[]): Promise<string[]> {
      const { context, said } = answering(answers)
      await followRows(context, kind, {})
      return said
        .join('')
        .split('\n')
        .filter((line) => line !== '')
    }

    it('tells what opens and closes', async () => {
      expect(await lines(answer('ab'), answer('bc'))).to.deep.equal(['open  a', 'open  b', 'closed  a', 'opened  c'])
    })

    it('takes nothing for closed that a silent worker has, and says once that it is silent', async () => {
      const silent = answer('a', { problems: ['worker 1: no answer'] })
      const told = await lines(answer('ab'), silent, silent, answer('bc'))
      expect(told.filter((line) => line.includes('worker 1: no answer'))).to.have.length(1)
      expect(told.filter((line) => !line.includes('worker'))).to.deep.equal([
        'open  a',
        'open  b',
        'closed  a',
        'opened  c',
      ])
    })

    it('says that there are more than are listed, and takes none for opened or closed that moves among these', async () => {
      const told = await lines(answer('ab', { total: 3 }), answer('bc', { total: 3 }), answer('bc'))
      expect(told.filter((line) => line.includes('there are more than are listed'))).to.have.length(1)
      expect(told.slice(-2)).to.deep.equal(['open  b', 'open  c'])
      expect(told).to.have.length(3)
    })
  })
})
