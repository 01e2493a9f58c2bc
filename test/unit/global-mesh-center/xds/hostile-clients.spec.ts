/** What one client does to its stream is no other client's matter. Real sockets, one process. */
import { Client, credentials, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { expect } from 'chai'
import { endpointAt } from '../../../../contracts/endpoint.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import { decodeMessage } from '../../../../contracts/envoy-api/decode.ts'
import { encodeMessage } from '../../../../contracts/envoy-api/encode.ts'
import type { Plain } from '../../../../contracts/envoy-api/message-form.ts'
import { AgentRules } from '../../../../global-mesh-center/xds/agent-rules.ts'
import { ForeignResources } from '../../../../global-mesh-center/xds/envoy/foreign-resources.ts'
import { LeftOutTable } from '../../../../global-mesh-center/xds/envoy/left-out-table.ts'
import type { FollowedServices, Instances } from '../../../../global-mesh-center/xds/followed-services.ts'
import { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import { clusterType, endpointType } from '../../../../global-mesh-center/xds/send-order.ts'
import { statePath } from '../../../../global-mesh-center/xds/state-request.ts'
import { XdsServer } from '../../../../global-mesh-center/xds/xds-server.ts'
import { deltaPath } from '../../../../registry-adapters/center/wire/delta.ts'
import { eventually } from '../../../support/worker/eventually.ts'

type Stream = ClientDuplexStream<Buffer, Buffer>
const raw = (bytes: Buffer): Buffer => bytes
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const name = 'outbound|||public/DEFAULT_GROUP@@orders'
const loopback = { host: '127.0.0.1' }
const error = { error_detail: { code: 3, message: 'no' } }
const package_ = 'envoy.service.discovery.v3'

/** What a client says and hears in one of the two forms. */
interface Form {
  readonly called: string
  readonly path: string
  readonly request: `${typeof package_}.${'DiscoveryRequest' | 'DeltaDiscoveryRequest'}`
  readonly response: `${typeof package_}.${'DiscoveryResponse' | 'DeltaDiscoveryResponse'}`
  names(list: readonly string[]): Plain
}

const stateForm: Form = {
  called: 'state of the world',
  path: statePath,
  request: `${package_}.DiscoveryRequest`,
  response: `${package_}.DiscoveryResponse`,
  names: (list) => ({ resource_names: list }),
}
const deltaForm: Form = {
  called: 'incremental',
  path: deltaPath,
  request: `${package_}.DeltaDiscoveryRequest`,
  response: `${package_}.DeltaDiscoveryResponse`,
  names: (list) => ({ resource_names_subscribe: list }),
}

describe('a center and hostile clients of xDS', function () {
  this.timeout(60_000)
  const counts = new Map<string, number>()
  const metrics = {
    count: (metric: string, _labels: object, by = 1) => void counts.set(metric, (counts.get(metric) ?? 0) + by),
    gauge: (metric: string, _labels: object, value: number) => void counts.set(metric, value),
    observe: () => undefined,
  }
  const listeners = new Set<(now: Instances) => void>()
  let port = 0
  const services: Pick<FollowedServices, 'follow'> = {
    follow: (_key, _name, listener) => {
      listeners.add(listener)
      setImmediate(() => listener({ endpoints: [endpointAt('10.0.0.1', 8000 + port)], protectThreshold: 0 }))
      return () => void listeners.delete(listener)
    },
  }
  const change = (): void => {
    port++
    const endpoints = [endpointAt('10.0.0.1', 8000 + port)]
    for (const listener of listeners) listener({ endpoints, protectThreshold: 0 })
  }
  let server: XdsServer
  let client: Client
  const open: Stream[] = []
  const stream = ({ path }: Form = stateForm): Stream => {
    const made = client.makeBidiStreamRequest(path, raw, raw)
    made.on('error', () => undefined)
    open.push(made)
    return made
  }
  const send = (to: Stream, request: Plain, form = stateForm): void =>
    void to.write(encodeMessage(form.request, request))
  const read = (bytes: Buffer, form = stateForm): { type_url: string; nonce: string; resources: readonly Plain[] } =>
    decodeMessage(form.response, bytes) as never

  /** A client that does as it should; resolves with how long the slowest of some changes took to come. */
  async function slowestChange(rounds: number, eachRound = async (): Promise<void> => {}): Promise<number> {
    const good = stream()
    const waiting: ((port: number) => void)[] = []
    good.on('data', (bytes: Buffer) => {
      const { type_url: type, nonce, resources } = read(bytes)
      send(good, { type_url: type, response_nonce: nonce, resource_names: [name] })
      const text = JSON.stringify(resources)
      waiting.shift()?.(Number(/"port_value":(\d+)/.exec(text)![1]))
    })
    const next = (): Promise<number> => new Promise((resolve) => waiting.push(resolve))
    const first = next()
    send(good, { node: { id: 'good' }, type_url: endpointType, resource_names: [name] })
    await first
    let slowest = 0
    for (let round = 0; round < rounds; round++) {
      const begun = performance.now()
      const coming = next()
      await eachRound()
      change()
      let found = await coming
      while (found !== 8000 + port) found = await next()
      slowest = Math.max(slowest, performance.now() - begun)
    }
    good.cancel()
    return slowest
  }

  before(async () => {
    const rules = new AgentRules({ namespace: 'public', group: 'DEFAULT_GROUP' })
    await rules.replace([])
    const leftOut = new LeftOutTable(metrics)
    const foreign = new ForeignResources({
      rules,
      services,
      leftOut,
      clock: systemClock,
      clusterDomain: 'cluster.local',
      issuer: undefined,
      log: silent,
      random: Math.random,
    })
    server = new XdsServer(
      {
        address: `${loopback.host}:0`,
        tls: undefined,
        tokens: undefined,
        isOpen: true,
        takesCertificates: false,
        issuer: undefined,
        endpoints: { follow: () => false },
        foreign,
        rulesOf: () => new Resources('rules', { follow: () => false }),
      },
      { clock: systemClock, random: Math.random, log: silent, metrics },
    )
    const bound = await server.listen()
    client = new Client(`${loopback.host}:${bound}`, credentials.createInsecure())
  })
  after(async () => {
    for (const one of open) one.cancel()
    client?.close()
    await server?.close()
  })

  for (const form of [stateForm, deltaForm])
    describe(`of the form ${form.called}`, () => {
      it('serves the others while one refuses whatever it gets, as fast as it can', async () => {
        const storm = stream(form)
        let isOver = false
        let [refusals, answers] = [0, 0]
        let nonce = ''
        storm.on('data', (bytes: Buffer) => {
          ;({ nonce } = read(bytes, form))
          if (answers++ > 0) return
          const again = (): void => {
            if (isOver) return
            for (let at = 0; at < 50; at++)
              send(storm, { type_url: endpointType, ...form.names([name]), response_nonce: nonce, ...error }, form)
            refusals += 50
            setImmediate(again)
          }
          again()
        })
        send(storm, { node: { id: 'storm' }, type_url: endpointType, ...form.names([name]) }, form)
        const slowest = await slowestChange(20)
        isOver = true
        expect(refusals).to.be.above(1000)
        expect(answers).to.be.above(0)
        expect(slowest).to.be.below(5000)
        storm.cancel()
      })

      it('keeps one response for a client that never reads', async () => {
        const deaf = stream(form)
        deaf.pause()
        const atFirst = counts.get('xds_responses') ?? 0
        send(deaf, { node: { id: 'deaf' }, type_url: endpointType, ...form.names([name]) }, form)
        send(deaf, { type_url: clusterType, ...form.names([name]) }, form)
        await slowestChange(1)
        const before = counts.get('xds_responses')!
        expect(before - atFirst, 'it was answered, too').to.be.above(2)
        for (let at = 0; at < 100; at++) {
          change()
          await new Promise((resolve) => setImmediate(resolve))
        }
        await slowestChange(1)
        expect(counts.get('xds_responses')! - before, 'those of the other client').to.be.below(10)
        deaf.cancel()
      })

      it('keeps one response for a client that never reads and acknowledges what it guesses', async () => {
        const deaf = stream(form)
        deaf.pause()
        send(deaf, { node: { id: 'guessing' }, type_url: endpointType, ...form.names([name]) }, form)
        await slowestChange(1)
        const before = counts.get('xds_responses')!
        let guess = 0
        await slowestChange(40, async () => {
          const guessed = { type_url: endpointType, ...form.names([name]), response_nonce: String(++guess) }
          await new Promise((resolve) => void deaf.write(encodeMessage(form.request, guessed), resolve))
        })
        expect(counts.get('xds_responses')! - before, 'those of the other client').to.be.within(40, 50)
        deaf.cancel()
      })
    })

  it('ends the stream that names 100,000 resources, with the reason, and follows none of them', async () => {
    const greedy = stream()
    const ended = new Promise<ServiceError>((resolve) => greedy.on('error', resolve))
    const names = Array.from({ length: 100_000 }, (_, at) => `outbound|||public/DEFAULT_GROUP@@s${at}`)
    send(greedy, { node: { id: 'greedy' }, type_url: endpointType, resource_names: names })
    expect((await ended).message).to.match(/INVALID_ARGUMENT|RESOURCE_EXHAUSTED/)
    expect(listeners.size).to.be.below(10)
    expect(await slowestChange(5)).to.be.below(5000)
  })

  it('refuses the stream of an address that has a thousand, and takes one again when one of them ends', async () => {
    await eventually(() => (counts.get('xds_streams') ?? 0) === 0)
    const refused = counts.get('xds_streams_refused') ?? 0
    const many = Array.from({ length: 1000 }, () => stream())
    await eventually(() => counts.get('xds_streams') === 1000)
    const ended = new Promise<ServiceError>((resolve) => stream().on('error', resolve))
    const { code, details } = await ended
    expect([code, details]).to.deep.equal([
      status.RESOURCE_EXHAUSTED,
      '1000 streams of 127.0.0.1 are open, which is the bound of one address',
    ])
    expect(counts.get('xds_streams_refused')).to.equal(refused + 1)
    many.pop()!.cancel()
    await eventually(() => counts.get('xds_streams') === 999)
    stream()
    await eventually(() => counts.get('xds_streams') === 1000)
    for (const one of open.splice(0)) one.cancel()
    await eventually(() => counts.get('xds_streams') === 0)
  })

  for (const form of [stateForm, deltaForm])
    it(`ends a stream whose node has a name that is longer than any (${form.called})`, async () => {
      const odd = stream(form)
      const ended = new Promise<ServiceError>((resolve) => odd.on('error', resolve))
      send(odd, { node: { id: 'n'.repeat(3000) }, type_url: clusterType }, form)
      expect((await ended).details).to.contain('node.id: 3000 characters, allowed 2048')
    })

  it('ends a stream whose node says what it may not, and says what is allowed', async () => {
    const odd = stream()
    const ended = new Promise<ServiceError>((resolve) => odd.on('error', resolve))
    send(odd, { node: { id: 'odd', metadata: { listen: 'everywhere' } }, type_url: clusterType })
    expect((await ended).details).to.contain('node.metadata.listen: found "everywhere", allowed an address and a port')
  })
})
