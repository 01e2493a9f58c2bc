import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ConnectionBalancer } from '../../../../../agent/worker/handoff/connection-balancer.ts'
import type { HandoffDeps } from '../../../../../agent/worker/handoff/handoff-deps.ts'
import { Takeover } from '../../../../../agent/worker/handoff/takeover.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import type { DescriptorPort, Native } from '../../../../../native/descriptors.ts'
import { Side } from '../../../../support/continuity/fake-side.ts'
import { eventually, still } from '../../../../support/worker/eventually.ts'

describe('balancing connections between the workers of one generation', () => {
  let runDir: string
  let native: Native
  let own: Side
  let other: Side
  let deps: HandoffDeps
  let otherDeps: HandoffDeps
  let takeover: Takeover
  let balancer: ConnectionBalancer
  const ports: DescriptorPort[] = []

  beforeEach(async () => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-balance-'))
    native = loadNative().native!
    own = new Side(native)
    other = new Side(native, ['odd'])
    deps = depsOf(own, 0)
    otherDeps = depsOf(other, 1)
    takeover = new Takeover(otherDeps, native, portOf(1))
    await takeover.listen()
    balancer = new ConnectionBalancer(deps, native, portOf(0))
  })

  afterEach(() => {
    balancer.stop()
    takeover.close()
    for (const port of ports.splice(0)) port.close()
    rmSync(runDir, { recursive: true, force: true })
  })

  function portOf(index: number): DescriptorPort {
    const port = native.openPort(join(runDir, `worker-1-${index}.fds`))
    ports.push(port)
    return port
  }

  function depsOf(side: Side, index: number): HandoffDeps {
    return {
      runDir,
      generation: 1,
      index,
      now: () => performance.now(),
      log: () => {},
      connections: side,
      balanced: { givenConnections: 0, takenConnections: 0 },
      exportState: () => ({}),
      exportRest: () => ({}),
      signals: () => ({ requests: 0, failed: 0, durations: [] }),
      importState: () => {},
      onCover: () => {},
      onUncover: () => {},
      stopAccepting: () => {},
      onEnd: () => {},
    }
  }

  const fill = (count: number, isReady = true) =>
    Array.from({ length: count }, (_, index) => own.add(`c${index}`, 'http1', isReady))

  /** As with a ping. */
  function look(mine = own.size, theirs = other.size): void {
    balancer.look(
      [
        { index: 0, active: mine },
        { index: 1, active: theirs },
      ],
      own.takeActive(),
    )
  }

  /** The first look dials; the neighbour has answered when this resolves. */
  async function firstLook(mine = own.size, theirs = other.size): Promise<void> {
    look(mine, theirs)
    const { links } = balancer as unknown as { links: Map<string, { isOpen: boolean }> }
    await eventually(() => links.get('1.1')?.isOpen === true)
  }

  it('moves what is above the mean, at the second uneven look', async () => {
    fill(10)
    await firstLook()
    expect([own.size, other.size]).to.deep.equal([10, 0])
    look()
    await eventually(() => other.size === 5)
    await eventually(() => deps.balanced.givenConnections === 5)
    expect([own.size, otherDeps.balanced.takenConnections]).to.deep.equal([5, 5])
  })

  it('moves nothing when the second look is even, nor again right after a move', async () => {
    fill(10)
    await firstLook()
    look(5, 5)
    look(10, 0)
    await still(() => other.size)
    expect(other.size).to.equal(0)
    look()
    await eventually(() => other.size === 5)
    // The numbers of this look are older than the move.
    look(10, 0)
    await still(() => other.size)
    expect([own.size, other.size]).to.deep.equal([5, 5])
  })

  it('waits for the end of a message, and lets go of those that do not come to one before the next look', async () => {
    const [first, second] = fill(4, false)
    await firstLook()
    look()
    expect([first!.isAwaited, second!.isAwaited]).to.deep.equal([true, true])
    first!.becomeReady()
    await eventually(() => other.size === 1)
    look(3, 3)
    expect(second!.isAwaited).to.equal(false)
  })

  it('keeps what the neighbour refuses, goes on serving it, and does not offer it again', async () => {
    own.add('odd', 'tcp')
    own.add('good', 'tcp')
    await firstLook(2, 0)
    look(2, 0)
    await eventually(() => own.adopted.includes('odd'))
    await firstLook(2, 0)
    look(2, 0)
    await eventually(() => other.adopted.includes('good'))
    expect(own.adopted).to.deep.equal(['odd'])
    await eventually(() => deps.balanced.givenConnections === 1)
  })

  it('gives nothing to a neighbour that drains: it comes back', async () => {
    fill(4)
    await firstLook()
    takeover.refuseNeighbours()
    look()
    await eventually(() => own.adopted.length === 2)
    expect(other.size).to.equal(0)
    expect(otherDeps.balanced.takenConnections).to.equal(0)
  })

  it('stops when this worker drains; a neighbour is nobody to wait for', async () => {
    const [busy] = fill(4, false)
    await firstLook()
    look()
    expect(takeover.size, 'predecessors').to.equal(0)
    balancer.stop()
    expect(busy!.isAwaited).to.equal(false)
    look()
    busy!.becomeReady()
    await still(() => other.size)
    expect(other.size).to.equal(0)
    expect(balancer.batchesOut).to.equal(0)
  })

  it('serves on with what it has when the neighbour is not there', async () => {
    takeover.close()
    fill(4)
    look()
    await still(() => own.size)
    look()
    look()
    expect(own.size).to.equal(4)
    expect([...own.live.values()].some(({ isAwaited }) => isAwaited)).to.equal(false)
  })
})
