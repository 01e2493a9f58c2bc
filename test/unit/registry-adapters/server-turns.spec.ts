import { expect } from 'chai'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { DesiredState } from '../../../registry-adapters/desired-state.ts'
import { ServerTurns } from '../../../registry-adapters/server-turns.ts'
import { manualClock } from '../../support/manual-clock.ts'

const gone = new MeshError('E_REGISTRY_UNREACHABLE', 'gone')
const key = 'public@@DEFAULT_GROUP@@orders' as ServiceKey

function turnsOf(servers: readonly string[]) {
  const clock = manualClock()
  const said: string[] = []
  const say = (_fields: object, text: string): void => void said.push(text)
  const state = {
    back: () => said.push('back'),
    lost: () => said.push('lost'),
    answerLost: (lost: ServiceKey) => said.push(`lost ${lost}`),
  } as unknown as DesiredState
  const opened: string[] = []
  const turns: ServerTurns<string> = new ServerTurns({
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    metrics: { count: (name) => said.push(name), gauge: () => undefined },
    random: () => 0.5,
    registry: 'main',
    servers,
    role: 'server',
    state,
    open: () => opened.push(turns.current),
  })
  return { clock, opened, said, turns }
}

describe('the turns of several servers', () => {
  it('go to the next one when one is lost, after pauses that grow to 10 s and begin anew once one is heard', () => {
    const { clock, opened, turns } = turnsOf(['a', 'b', 'c'])
    turns.start()
    const pauses: number[] = []
    const lose = (): void => {
      const [before, count] = [clock.monotonic(), opened.length]
      turns.lost(gone)
      while (opened.length === count) clock.advance(1)
      pauses.push(clock.monotonic() - before)
    }
    for (let i = 0; i < 8; i++) lose()
    expect(opened).to.deep.equal(['b', 'c', 'a', 'b', 'c', 'a', 'b', 'c', 'a'])
    expect(pauses).to.deep.equal([188, 375, 750, 1500, 3000, 6000, 7500, 7500])
    turns.heard('a')
    lose()
    expect(pauses.at(-1)).to.equal(188)
  })

  it('say once that none is there, and once that one is again', () => {
    const { said, turns } = turnsOf(['a'])
    expect(turns.problem?.message).to.equal('no server has answered yet')
    turns.answer(key)
    expect(said, 'before the first attempt has ended').to.deep.equal([])
    turns.start()
    turns.lost(gone)
    turns.lost(gone)
    turns.answer(key)
    expect(said).to.deep.equal(['main: gone', 'registry_absences', 'lost', 'lost', `lost ${key}`])
    expect([turns.isHeard, turns.problem]).to.deep.equal([false, gone])
    said.length = 0
    turns.heard('a')
    turns.heard('a')
    expect(said).to.deep.equal(['main: a answers', 'back'])
    expect([turns.isHeard, turns.problem]).to.deep.equal([true, undefined])
  })

  it('end when they are closed', () => {
    const { clock, opened, said, turns } = turnsOf(['a'])
    turns.start()
    turns.lost(gone)
    turns.close()
    said.length = 0
    turns.lost(gone)
    turns.start()
    clock.advance(60_000)
    expect([opened, said]).to.deep.equal([['a'], []])
  })
})
