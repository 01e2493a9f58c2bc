import { expect } from 'chai'
import { Turns } from '../../../../registry-adapters/dns/turns.ts'

describe('turns of questions', () => {
  it('are taken in order, so many at a time, also behind one that fails, and none waits beyond the bound', async () => {
    const turns = new Turns(2, 2, () => new Error('full'))
    const begun: string[] = []
    const ends = new Map<string, (error?: Error) => void>()
    const run = (name: string): Promise<string> =>
      turns.run(() => {
        begun.push(name)
        return new Promise((resolve, reject) =>
          ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error))),
        )
      })
    const all = ['a', 'b', 'c', 'd'].map(run)
    const beyond = await run('e').catch((error: unknown) => (error as Error).message)
    expect(beyond).to.equal('full')
    expect(begun).to.deep.equal(['a', 'b'])
    ends.get('b')!(new Error('broken'))
    await all[1]!.catch(() => undefined)
    expect(begun).to.deep.equal(['a', 'b', 'c'])
    ends.get('a')!()
    await all[0]
    expect(begun).to.deep.equal(['a', 'b', 'c', 'd'])
    ends.get('c')!()
    ends.get('d')!()
    expect(await Promise.all([all[2], all[3]])).to.deep.equal(['c', 'd'])
    const last = run('f')
    ends.get('f')!()
    expect(await last).to.equal('f')
  })
})
