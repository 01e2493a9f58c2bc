import { expect } from 'chai'
import { DeltaStream } from '../../../../global-mesh-center/xds/delta-stream.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { maxNameLength, maxNames } from '../../../../global-mesh-center/xds/stream-bounds.ts'
import { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import {
  decodeResponse,
  type DeltaRequest,
  type DeltaResponse,
} from '../../../../registry-adapters/center/wire/delta.ts'

const type = 'type'

class Bench {
  readonly clock = manualClock()
  follows = 0
  private nonces = 0
  readonly followers = new Map<string, (value: Buffer | undefined) => void>()
  readonly sent: DeltaResponse[] = []
  readonly refused: string[] = []
  readonly faults: string[] = []
  readonly resources = new Resources(type, {
    follow: (name, onValue) => {
      if (name === 'impossible') return false
      this.follows++
      this.followers.set(name, onValue)
      return () => void this.followers.delete(name)
    },
  })

  /** By node: another group of hosts. */
  resourcesOf: (node: string) => Resources = () => this.resources

  stream(): DeltaStream {
    return new DeltaStream({
      clock: this.clock,
      wildcard: () => undefined,
      typeUrls: [type],
      nonce: () => String(++this.nonces),
      resources: (typeUrl, node) => (typeUrl === type ? this.resourcesOf(node) : undefined),
      send: (bytes) => this.sent.push(decodeResponse(bytes)),
      onRefused: (_type, message) => this.refused.push(message),
      onFault: (message) => this.faults.push(message),
    })
  }

  set(name: string, text: string | undefined): void {
    this.followers.get(name)!(text === undefined ? undefined : Buffer.from(text))
  }
}

const request = (change: Partial<DeltaRequest>): DeltaRequest => ({
  node: 'host-1',
  typeUrl: type,
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  nonce: '',
  error: undefined,
  ...change,
})
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)))
const valuesOf = ({ resources }: DeltaResponse): string[] => resources.map(({ value }) => value.toString())

describe('the stream of an agent', () => {
  let bench: Bench
  let stream: DeltaStream
  beforeEach(() => {
    bench = new Bench()
    stream = bench.stream()
  })
  const acknowledge = (): void => stream.take(request({ nonce: bench.sent.at(-1)!.nonce }))

  it('answers the first request at once, and each name as soon as somebody knows it', async () => {
    stream.take(request({ subscribe: ['a', 'b'] }))
    await turn()
    expect(bench.sent.map(valuesOf)).to.deep.equal([[]])
    bench.set('a', 'one')
    await turn()
    expect(bench.sent, 'the first answer was not acknowledged').to.have.length(1)
    acknowledge()
    await turn()
    expect(valuesOf(bench.sent[1]!)).to.deep.equal(['one'])
    bench.set('b', undefined)
    acknowledge()
    await turn()
    expect(bench.sent[2]!.removed).to.deep.equal(['b'])
  })

  it('has one response under way, and sends of what changed meanwhile the newest alone', async () => {
    stream.take(request({ subscribe: ['a'] }))
    bench.set('a', '1')
    await turn()
    for (const value of ['2', '3', '4']) {
      bench.set('a', value)
      await turn()
    }
    expect(bench.sent.map(valuesOf)).to.deep.equal([['1']])
    stream.take(request({ nonce: 'stale' }))
    await turn()
    expect(bench.sent, 'an old nonce acknowledges nothing').to.have.length(1)
    acknowledge()
    await turn()
    acknowledge()
    await turn()
    expect(bench.sent.map(valuesOf)).to.deep.equal([['1'], ['4']])
  })

  it('sends nothing that is known from before, on a new stream', async () => {
    stream.take(request({ subscribe: ['a', 'b'] }))
    bench.set('a', 'same')
    bench.set('b', 'old')
    await turn()
    const versions = new Map(bench.sent[0]!.resources.map(({ name, version }) => [name, version]))
    bench.set('b', 'new')
    stream.close()
    stream = bench.stream()
    stream.take(request({ subscribe: ['a', 'b'], initialVersions: versions }))
    bench.set('a', 'same')
    bench.set('b', 'new')
    await turn()
    expect(valuesOf(bench.sent.at(-1)!)).to.deep.equal(['new'])
  })

  it('encodes once for all, goes on after a refusal, and lets go of what nobody wants', async () => {
    const other = bench.stream()
    for (const one of [stream, other]) one.take(request({ subscribe: ['a'] }))
    bench.set('a', 'one')
    await turn()
    expect(bench.sent).to.have.length(2)
    expect(bench.follows, 'followed at its source once').to.equal(1)
    stream.take(request({ nonce: bench.sent[0]!.nonce, error: 'an endpoint has no address' }))
    expect(bench.refused).to.deep.equal(['an endpoint has no address'])
    bench.set('a', 'two')
    await turn()
    expect(valuesOf(bench.sent.at(-1)!)).to.deep.equal(['two'])
    stream.take(request({ unsubscribe: ['a'] }))
    expect(bench.followers.has('a')).to.equal(true)
    other.close()
    expect(bench.followers.has('a')).to.equal(false)
    expect(bench.resources.size).to.equal(0)
  })

  it('ends at a type that is not served and at too many names, and names what it cannot have', async () => {
    stream.take(request({ subscribe: ['impossible'] }))
    expect(bench.refused[0]).to.contain('impossible: no such name')
    stream.take(request({ subscribe: Array.from({ length: maxNames + 1 }, (_, index) => `name-${index}`) }))
    expect(bench.faults[0]).to.contain(`more than ${maxNames} names`)
    expect(bench.resources.size, 'nothing is left behind').to.equal(0)
    const second = bench.stream()
    second.take(request({ typeUrl: 'other' }))
    expect(bench.faults[1]).to.contain('found "other", allowed type')
    await turn()
    expect(bench.sent).to.deep.equal([])
  })
})

describe('the stream of an agent that names what cannot be', () => {
  it('keeps nothing of names that no resource can have', async () => {
    const bench = new Bench()
    const stream = bench.stream()
    stream.take(request({ subscribe: ['impossible', 'a'] }))
    expect(stream.subscriptions).to.equal(1)
    bench.set('a', 'one')
    await turn()
    expect(bench.sent.map(valuesOf)).to.deep.equal([['one']])
    stream.take(request({ unsubscribe: ['impossible', 'a'] }))
    expect(bench.resources.size).to.equal(0)
  })

  it('ends at a name that is longer than any, asked for or known from before', () => {
    const long = 'n'.repeat(maxNameLength + 1)
    for (const change of [{ subscribe: ['a', long] }, { initialVersions: new Map([[long, '1']]) }]) {
      const bench = new Bench()
      const stream = bench.stream()
      stream.take(request({ subscribe: ['n'.repeat(maxNameLength)] }))
      expect(bench.faults).to.deep.equal([])
      stream.take(request(change))
      expect(bench.faults).to.deep.equal([`a name of ${long.length} characters of type, allowed ${maxNameLength}`])
      expect(bench.resources.size, 'nothing is left behind').to.equal(0)
    }
  })
})

describe('the stream of an agent whose host belongs to another group by now', () => {
  it('is told what differs, and nothing else, and follows its new group alone', async () => {
    const bench = new Bench()
    const other = new Bench()
    const stream = bench.stream()
    stream.take(request({ subscribe: ['a', 'b'] }))
    bench.set('a', 'one')
    bench.set('b', 'same')
    await turn()
    stream.take(request({ nonce: bench.sent.at(-1)!.nonce }))
    bench.resourcesOf = () => other.resources
    stream.regroup()
    expect([...bench.followers.keys()], 'nobody follows the old ones').to.deep.equal([])
    other.set('a', 'two')
    other.set('b', 'same')
    await turn()
    expect(bench.sent.slice(1).map(valuesOf)).to.deep.equal([['two']])
    stream.regroup()
    stream.close()
    expect([...other.followers.keys()]).to.deep.equal([])
  })
})
