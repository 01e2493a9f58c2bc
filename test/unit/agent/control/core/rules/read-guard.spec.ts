import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { fileReadGuard } from '../../../../../../agent/control/core/rules/read-guard.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { orders, ordersRoutes } from '../../../../../support/routing.ts'

const good = ordersRoutes('- timeout: 1s\n  route: [{ destination: { host: orders } }]')
const other = ordersRoutes('- timeout: 2s\n  route: [{ destination: { host: orders } }]')

describe('documents under which control died', () => {
  let directory: string
  const errors: string[] = []
  const guardOf = (pid: number, living: readonly number[] = [], now = 1000) =>
    fileReadGuard(directory, {
      pid,
      now: () => now,
      isAlive: (one) => living.includes(one),
      log: { error: (_, message) => errors.push(message) },
    })
  const storeOf = (guard: ReturnType<typeof guardOf>) =>
    new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', guard })
  const document = (text: string) => [{ name: 'orders.yaml', text }]

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hostmesh-guard-'))
    errors.length = 0
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('are set aside by the next process, loudly, and nothing else is', () => {
    const dead = storeOf(guardOf(7))
    dead.replaceSource('rules.d', document(good)) // and no settled()
    const next = storeOf(guardOf(8))
    expect(errors[0]).to.match(/^orders\.yaml: control died while it read this document \(sha256 [0-9a-f]{16}…\)/)
    const { statuses } = next.replaceSource('rules.d', [
      ...document(good),
      { name: 'other.yaml', text: other.replace('name: orders', 'name: more') },
    ])
    expect(statuses.map(({ document: name, state }) => [name, state])).to.deep.equal([
      ['orders.yaml', 'rejected'],
      ['other.yaml', 'applied'],
    ])
    expect(statuses[0]!.problems[0]!.message).to.match(
      /^control died while it read this text \(as orders\.yaml, .*\); it is set aside until it changes$/,
    )
  })

  it('stay set aside over further starts, until the text changes or the list is removed', () => {
    storeOf(guardOf(7)).replaceSource('rules.d', document(good))
    guardOf(8)
    const third = storeOf(guardOf(9))
    expect(third.replaceSource('rules.d', document(good)).statuses[0]!.state).to.equal('rejected')
    expect(third.replaceSource('rules.d', document(other)).statuses[0]!.state).to.equal('applied')
    third.settled()
    rmSync(join(directory, 'rules-set-aside.json'))
    expect(storeOf(guardOf(10)).replaceSource('rules.d', document(good)).statuses[0]!.state).to.equal('applied')
  })

  it('keep their last good version in force', () => {
    const first = storeOf(guardOf(6))
    first.replaceSource('rules.d', document(good))
    first.settled()
    const state = JSON.parse(JSON.stringify(first.exportState())) as unknown
    storeOf(guardOf(7)).replaceSource('rules.d', document(other))
    const next = storeOf(guardOf(8))
    next.importState(state)
    const [status] = next.replaceSource('rules.d', document(other)).statuses
    expect([status!.state, status!.inForce]).to.deep.equal(['rejected', true])
    expect(next.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(1000)
  })

  it('are none when the rules came into force, and none of a process that lives and reads', () => {
    const store = storeOf(guardOf(7))
    store.replaceSource('rules.d', document(good))
    expect(readdirSync(directory)).to.deep.equal(['rules-reading-7.json'])
    expect(guardOf(8, [7]).setAside(good)).to.equal(undefined)
    store.settled()
    expect(readdirSync(directory)).to.deep.equal([])
    store.replaceSource('rules.d', document(good))
    expect(readdirSync(directory), 'a text that is known').to.deep.equal([])
  })

  it('are those of a living process too when it does not come to an end', () => {
    storeOf(guardOf(7)).replaceSource('rules.d', document(good))
    expect(guardOf(8, [7], 10_000).setAside(good)).to.be.a('string')
  })

  it('are bounded, and a broken or missing directory costs only the memory', () => {
    const many = Array.from({ length: 150 }, (_, i) => ({ digest: String(i), document: `${i}.yaml`, at: i }))
    writeFileSync(join(directory, 'rules-set-aside.json'), JSON.stringify([...many, { digest: 1 }, null, 'x']))
    guardOf(8)
    expect(JSON.parse(readFileSync(join(directory, 'rules-set-aside.json'), 'utf8'))).to.deep.equal(many.slice(50))
    writeFileSync(join(directory, 'rules-set-aside.json'), '{')
    expect(guardOf(8).setAside(good)).to.equal(undefined)
    rmSync(directory, { recursive: true })
    storeOf(guardOf(9)).replaceSource('rules.d', document(good))
    expect(existsSync(directory)).to.equal(true)
  })
})
