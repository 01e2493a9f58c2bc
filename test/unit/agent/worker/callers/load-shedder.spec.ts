import { expect } from 'chai'
import { LoadShedder, lookMs, shedding } from '../../../../../agent/worker/callers/load-shedder.ts'

const request = (path = '/', userAgent?: string) => ({
  path,
  header: (name: string) => (name === 'user-agent' ? userAgent : undefined),
})

class World {
  now = 0
  isOut = false
  readonly warned: string[] = []
  readonly shedder = new LoadShedder({
    random: () => 0.5,
    isOutOfMemory: () => this.isOut,
    warn: (message) => this.warned.push(message),
  })

  looks(count: number, lateMs: number): void {
    for (let nth = 0; nth < count; nth++) this.shedder.look((this.now += lookMs + lateMs))
  }
}

describe('load shedding of a worker', () => {
  it('begins when its loop was late in several looks in a row, not for one long turn', () => {
    const world = new World()
    world.looks(1, 5000)
    world.looks(1, 0)
    world.looks(shedding.looks - 1, 5000)
    world.looks(1, 0)
    expect(world.shedder.share).to.equal(0)
    world.looks(shedding.looks, shedding.lateMs + 1)
    expect(world.shedder.share).to.equal(shedding.step)
    expect(world.warned).to.have.length(1)
  })

  it('refuses ever more, up to a bound, and ever less behind it', () => {
    const world = new World()
    world.looks(50, 600)
    expect(world.shedder.share).to.equal(shedding.most)
    expect(world.shedder.refuses(request(), false)).to.equal(true)
    expect(world.shedder.shed).to.equal(1)
    world.looks(5, 0)
    expect(world.shedder.refuses(request(), false), 'two fifths, and the draw is a half').to.equal(false)
    world.looks(5, 0)
    expect(world.shedder.share).to.equal(0)
  })

  it('begins at once when memory is out', () => {
    const world = new World()
    world.isOut = true
    world.looks(6, 0)
    expect(world.shedder.refuses(request(), false)).to.equal(true)
    expect(world.warned[0]).to.include('short of memory')
  })

  it('lets the host’s own probe and health checks pass, of these so many in a second', () => {
    const world = new World()
    world.looks(50, 600)
    const { shedder } = world
    expect(shedder.refuses(request(), true)).to.equal(false)
    const check = request('/grpc.health.v1.Health/Check')
    const refused = Array.from({ length: shedding.healthPerSecond + 10 }, () => shedder.refuses(check, false))
    expect(refused.filter(Boolean)).to.have.length(10)
    world.looks(4, 600)
    expect(shedder.refuses(request('/', 'hostmesh-check'), false)).to.equal(false)
  })
})
