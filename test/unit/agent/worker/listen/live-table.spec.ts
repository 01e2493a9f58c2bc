import { expect } from 'chai'
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'

import { LiveTable } from '../../../../../agent/worker/listen/live-table.ts'
import type { Movable } from '../../../../../agent/worker/listen/movable.ts'

describe('the table of live connections', () => {
  let table: LiveTable
  let closed: string[]

  beforeEach(() => {
    table = new LiveTable()
    closed = []
  })

  /** Busy, where its name says so. */
  function add(name: string): Movable {
    const connection = {
      isIdle: !name.startsWith('busy'),
      abort() {
        closed.push(name)
        table.remove(connection)
      },
    } as unknown as Movable
    table.add(connection)
    return connection
  }

  it('makes room by one that rests, the longest known first, and by no busy one', () => {
    for (const name of ['busy1', 'a', 'busy2', 'b']) add(name)
    expect([table.makeRoom(), table.makeRoom(), table.makeRoom()]).to.deep.equal([true, true, false])
    expect([closed, table.size]).to.deep.equal([['a', 'b'], 2])
  })

  it('finds one that rests behind more busy ones than it looks at in one go', () => {
    for (let at = 0; at < 150; at++) add(`busy${at}`)
    add('a')
    expect([table.makeRoom(), table.makeRoom(), table.makeRoom()]).to.deep.equal([false, false, true])
    expect(closed).to.deep.equal(['a'])
  })

  it('takes from the others before it looks at the same ones again', () => {
    for (let at = 0; at < 64; at++) add(`busy${at}`)
    add('first')
    add('second')
    table.makeRoom()
    table.makeRoom()
    add('third')
    table.makeRoom()
    expect(closed).to.deep.equal(['first', 'second'])
  })

  it('holds nothing of connections that ended since it made room', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const ended: WeakRef<Movable>[] = []
    for (let at = 0; at < 100; at++) add(`busy${at}`)
    table.makeRoom()
    // enough of them for the set to move its entries many times
    for (let at = 0; at < 1000; at++) {
      const connection = add(`busy after ${at}`)
      ended.push(new WeakRef(connection))
      if (at >= 8) table.remove(ended[at - 8]!.deref()!)
    }
    return new Promise<void>((resolve) => {
      setImmediate(resolve)
    }).then(() => {
      collect()
      const held = ended.filter((reference) => reference.deref() !== undefined)
      expect(held).to.have.length(8)
    })
  })
})
