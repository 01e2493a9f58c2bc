import { expect } from 'chai'

import { Dialer } from '../../../../../agent/worker/connect/dialer.ts'
import type { DialerDeps } from '../../../../../agent/worker/connect/dialer.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import type { DialCallback, Transport } from '../../../../../agent/worker/transport/transport.ts'
import { cluster } from '../../../../support/balance.ts'

describe('a connection that was dialled', () => {
  let order: string[]
  let isClosed: boolean
  let answer: DialCallback

  beforeEach(() => {
    order = []
    isClosed = false
  })

  function dial(onDialed: () => void): void {
    const deps = {
      transports: {
        dial: (_address: string, _port: number, callback: DialCallback) => {
          answer = callback
          return { cancel() {} }
        },
      },
      wheel: { arm() {}, drop() {} },
      clock: new Clock(() => 0),
      socketOptions: { apply: () => order.push('options') },
      identities: { find: () => undefined },
      refusal: () => null,
    } as unknown as DialerDeps
    const of = cluster({})
    const as = { identity: undefined, protocols: [] }
    new Dialer(deps).dial(of.states[0]!, of, as, { onDialed, onDialFailed: () => order.push('failed') })
    answer(
      {
        get isClosed() {
          return isClosed
        },
      } as unknown as Transport,
      '',
    )
  }

  it('carries the request that waits for it before its socket gets options', () => {
    dial(() => order.push('used'))
    expect(order).to.deep.equal(['used', 'options'])
  })

  it('gets none when it was closed at once', () => {
    dial(() => (isClosed = true))
    expect(order).to.deep.equal([])
  })
})
