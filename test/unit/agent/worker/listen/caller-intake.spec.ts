import type { PeerIdentity } from '../../../../../contracts/peer-identity.ts'
import { expect } from 'chai'

import { Arriving } from '../../../../../agent/worker/listen/arriving.ts'
import type { CallerIdentity } from '../../../../../agent/worker/listen/caller-identity.ts'
import { CallerIntake } from '../../../../../agent/worker/listen/caller-intake.ts'
import { listenerContext } from '../../../../../agent/worker/listen/listener-context.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { noIdentity } from '../../../../../agent/worker/transport/transport.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import type { ListenerSpec, MeshSpec } from '../../../../../contracts/snapshot.ts'
import { app } from '../../../../support/routing.ts'

const shared: ListenerSpec = { name: 'shared', address: '::1', port: 1, proxyProtocol: 'off', kind: 'shared-http' }
const user = { kind: 'user', uid: 1000 } as const

describe('the step that asks who calls', () => {
  let asked = 0
  let ended = 0

  beforeEach(() => {
    asked = 0
    ended = 0
  })

  async function arrive(
    found: PeerIdentity,
    { apps = { '1000': app('cart') }, proven = noIdentity as PeerIdentity, isClosed = false } = {},
  ): Promise<Arriving | undefined> {
    const callers = { find: async () => (asked++, found) } as unknown as CallerIdentity
    const mesh = () => ({ sourceAppsByUid: apps }) as unknown as MeshSpec
    const step = new CallerIntake({ callers, clock: new Clock(() => 0), mesh })
    const transport = { peer: () => ({ identity: proven }), descriptor: 5, isClosed } as unknown as Transport
    const arriving = new Arriving(transport, shared, listenerContext(shared, 1), () => ended++)
    let passed: Arriving | undefined
    step.begin(arriving, (next) => (passed = next))
    await new Promise(setImmediate)
    return passed
  }

  it('writes down the user and the application of that user', async () => {
    expect(await arrive(user))
      .to.include({ identity: user })
      .and.to.have.nested.property('source.app', 'cart')
  })

  it('writes down a user without an application', async () => {
    expect(await arrive({ kind: 'user', uid: 7 })).to.deep.include({
      identity: { kind: 'user', uid: 7 },
      source: undefined,
    })
  })

  it('asks nobody where the configuration names no users', async () => {
    expect(await arrive(user, { apps: {} as never })).to.include({ identity: noIdentity, source: undefined })
    expect(asked).to.equal(0)
  })

  it('believes what the transport has proved, and asks nobody else', async () => {
    const proven = { kind: 'spiffe', id: 'spiffe://mesh/shop' } as const
    expect(await arrive(user, { proven })).to.include({ identity: proven, source: undefined })
    expect(asked).to.equal(0)
  })

  it('lets go of a caller that left meanwhile', async () => {
    expect(await arrive(user, { isClosed: true })).to.equal(undefined)
    expect(ended).to.equal(1)
  })
})
