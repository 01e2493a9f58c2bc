import { expect } from 'chai'
import { systemClock } from '../../../../../../contracts/clock.ts'
import type { PushMessage, PushQueueDeps } from '../../../../../../registry-adapters/nacos/server/grpc/push-queue.ts'
import { PushQueue } from '../../../../../../registry-adapters/nacos/server/grpc/push-queue.ts'
import { eventually } from '../../../../../support/registry-listener.ts'

interface Sent {
  readonly text: unknown
  readonly requestId: string
  readonly flush: () => void
}

function queueOf(more: Partial<PushQueueDeps> = {}): {
  queue: PushQueue
  sent: Sent[]
  texts: () => string
  story: string[]
} {
  const sent: Sent[] = []
  const story: string[] = []
  const queue = new PushQueue({
    clock: systemClock,
    limits: { maxUnackedPushes: 2, maxPushBufferBytes: 100 },
    send: (message, requestId, onFlushed) => {
      sent.push({ text: message.body['text'], requestId, flush: onFlushed })
      return 10
    },
    onUnanswered: (subject) => story.push(`unanswered ${subject}`),
    onStalled: () => story.push('stalled'),
    ackTimeoutMs: 60_000,
    stalledMs: 60_000,
    ...more,
  })
  return { queue, sent, story, texts: () => sent.map(({ text }) => text).join(' ') }
}

const say = (text: string) => async (): Promise<PushMessage> => ({ type: 'T', body: { text } })

describe('push queue of a connection', () => {
  let open: PushQueue | undefined
  afterEach(() => open?.close())

  it('holds back what is above the window of unacknowledged pushes, and sends it when one is acknowledged', async () => {
    const { queue, sent, texts } = queueOf()
    open = queue
    for (const name of ['a', 'b', 'c']) queue.offer(name, say(name))
    await eventually(() => sent.length === 2, 'two pushes')
    expect([queue.unacked, queue.waiting]).to.deep.equal([2, 1])
    queue.acknowledge(sent[0]!.requestId)
    await eventually(() => texts() === 'a b c', 'the third push')
  })

  it('merges changes of one subject while they wait, into the newest', async () => {
    const { queue, sent, texts } = queueOf({ limits: { maxUnackedPushes: 1, maxPushBufferBytes: 100 } })
    open = queue
    queue.offer('a', say('a1'))
    for (let n = 1; n <= 1000; n++) queue.offer('b', say(`b${n}`))
    await eventually(() => sent.length === 1, 'the first push')
    expect(queue.waiting).to.equal(1)
    queue.acknowledge(sent[0]!.requestId)
    await eventually(() => texts() === 'a1 b1000', 'the newest state')
  })

  it('holds back while the reader has too many bytes unread', async () => {
    const { queue, sent, texts } = queueOf({ limits: { maxUnackedPushes: 10, maxPushBufferBytes: 20 } })
    open = queue
    for (const name of ['a', 'b', 'c']) queue.offer(name, say(name))
    await eventually(() => sent.length === 2, 'two pushes')
    expect(queue.waiting).to.equal(1)
    sent[0]!.flush()
    await eventually(() => texts() === 'a b c', 'the third push')
  })

  it('sends again what nobody acknowledged', async () => {
    const { queue, texts, story } = queueOf({ ackTimeoutMs: 5 })
    open = queue
    queue.offer('a', say('a'))
    await eventually(() => texts().startsWith('a a'), 'a second push')
    expect(story[0]).to.equal('unanswered a')
  })

  it('reports a reader that takes nothing', async () => {
    const { queue, story } = queueOf({ stalledMs: 5 })
    open = queue
    queue.offer('a', say('a'))
    await eventually(() => story.includes('stalled'), 'the stall')
  })

  it('sends nothing that was withdrawn, and skips what has nothing to say any more', async () => {
    const { queue, sent, texts } = queueOf({ limits: { maxUnackedPushes: 1, maxPushBufferBytes: 100 } })
    open = queue
    queue.offer('a', say('a'))
    queue.offer('b', say('b'))
    queue.offer('c', async () => undefined)
    queue.offer('d', say('d'))
    queue.withdraw('b')
    await eventually(() => sent.length === 1, 'the first push')
    queue.acknowledge(sent[0]!.requestId)
    await eventually(() => texts() === 'a d', 'the last push')
  })

  it('goes on after a message that could not be made', async () => {
    const { queue, texts } = queueOf()
    open = queue
    queue.offer('a', () => Promise.reject(new Error('no answer')))
    queue.offer('b', say('b'))
    await eventually(() => texts() === 'b', 'the next push')
  })

  it('sends nothing after close', async () => {
    const { queue, sent } = queueOf()
    queue.offer('a', say('a'))
    queue.close()
    queue.offer('b', say('b'))
    await Promise.resolve()
    expect(sent).to.deep.equal([])
  })
})
