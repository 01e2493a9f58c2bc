/** Of a list that comes again, what is read and what is not. */
import { expect } from 'chai'
import { message } from '../../../contracts/envoy-api/protobuf.ts'
import { readInstances } from '../../../registry-adapters/consul/read-instances.ts'
import { KnownInstances } from '../../../registry-adapters/known-instances.ts'
import { readAssignment } from '../../../registry-adapters/xds/translate/assignment.ts'
import { Faults } from '../../../registry-adapters/xds/wire/faults.ts'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('instances that come again as they were', () => {
  describe('of Consul', () => {
    const entry = (index: number, passing = 1): object => ({
      Node: { Address: '10.9.9.9' },
      Service: { Address: `10.0.0.${index}`, Port: 80, Tags: [], Meta: {}, Weights: { Passing: passing, Warning: 1 } },
      Checks: [{ CheckID: 'serfHealth', Status: 'passing' }],
    })
    const again = (json: unknown): unknown => JSON.parse(JSON.stringify(json))

    it('are the same objects, and only the one that changed is another', () => {
      const known = new KnownInstances()
      const first = readInstances(
        range(20).map((index) => entry(index)),
        100,
        known,
      )!
      const next = readInstances(again(range(20).map((index) => entry(index, index === 7 ? 5 : 1))), 100, known)!
      expect(next.endpoints.filter((endpoint, at) => endpoint !== first.endpoints[at])).to.deep.equal([
        { ...first.endpoints[7], weight: 5 },
      ])
    })

    it('are read anew when they were away in between', () => {
      const known = new KnownInstances()
      const [first] = readInstances([entry(1)], 100, known)!.endpoints
      readInstances([], 100, known)
      const [later] = readInstances([entry(1)], 100, known)!.endpoints
      expect(later).to.deep.equal(first)
      expect(later).not.to.equal(first)
    })

    it('are refused again when they make no sense, each time', () => {
      const known = new KnownInstances()
      for (const _ of range(2)) expect(readInstances([entry(1), { Service: {} }], 100, known)!.refused).to.equal(1)
    })

    it('are refused alone when they are nested deeper than can be gone through', () => {
      const depth = 100_000
      const deep = JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown
      const { endpoints, refused } = readInstances([deep, entry(1)], 100, new KnownInstances())!
      expect([endpoints.length, refused]).to.deep.equal([1, 1])
    })
  })

  describe('of a control plane for Envoys', () => {
    const lbEndpoint = (index: number, weight = 1): Buffer =>
      message([1, message([1, message([1, message([2, `10.0.0.${index}`], [3, 80])])])], [4, message([1, weight])])
    const assignment = (endpoints: readonly Buffer[], zone = 'a'): Buffer =>
      message([1, 'orders'], [2, message([1, message([1, 'r'], [2, zone])], [2, endpoints])])
    const read = (bytes: Buffer, known: KnownInstances): { endpoints: readonly object[]; faults: Faults } => {
      const faults = new Faults()
      return { endpoints: readAssignment(bytes, '', faults, known).endpoints, faults }
    }

    it('are the same objects, and only the one that changed is another', () => {
      const known = new KnownInstances()
      const first = read(assignment(range(20).map((index) => lbEndpoint(index))), known).endpoints
      const next = read(assignment(range(20).map((index) => lbEndpoint(index, index === 7 ? 5 : 1))), known).endpoints
      expect(next.filter((endpoint, at) => endpoint !== first[at])).to.deep.equal([{ ...first[7], weight: 5 }])
    })

    it('are others in another zone', () => {
      const known = new KnownInstances()
      read(assignment([lbEndpoint(1)], 'a'), known)
      expect(read(assignment([lbEndpoint(1)], 'b'), known).endpoints).to.containSubset([{ locality: { zone: 'b' } }])
    })

    it('are named each time when there is a fault in them', () => {
      const known = new KnownInstances()
      for (const _ of range(2)) {
        const { faults } = read(
          assignment([lbEndpoint(1), message([1, message([1, message([1, message([3, 80])])])])]),
          known,
        )
        expect(String(faults)).to.match(
          /^endpoints\[0\]\.lb_endpoints\[1\]\.endpoint\.address\.socket_address\.address: found ""/,
        )
      }
    })
  })

  it('are kept of the list before only, also when a list breaks off', () => {
    const known = new KnownInstances()
    const one = message([1, message([1, message([1, message([2, '10.0.0.1'], [3, 80])])])])
    const group = message([2, message([2, [one]])])
    const before = readAssignment(group, '', new Faults(), known).endpoints[0]
    expect(() =>
      readAssignment(message([2, message([2, [Buffer.from([0x0a, 0x05, 0x01])]])]), '', new Faults(), known),
    ).to.throw(RangeError)
    const after = readAssignment(group, '', new Faults(), known).endpoints[0]
    expect(after).to.deep.equal(before)
    expect(after).not.to.equal(before)
  })
})
