import { expect } from 'chai'
import { DialGuard } from '../../../../../agent/worker/connect/dial-guard.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'

const [app, ledger] = [keyOf('app-behind'), keyOf('ledger')]

describe('addresses that nothing is sent to', () => {
  let now = 0
  let listener: number | undefined
  let asked: string[]
  let warned: string[]
  let tallies: { loopDials: number; otherUserDials: number }
  let guard: DialGuard

  beforeEach(() => {
    now = 0
    asked = []
    warned = []
    tallies = { loopDials: 0, otherUserDials: 0 }
    guard = new DialGuard({
      own: {
        leadsBack: (_address, port) => port === 21_000,
        applicationUser: (service) => (service === app ? 4201 : undefined),
      },
      countsPasses: (service) => service !== ledger,
      uidOfListener: (address, port) => {
        asked.push(`${address}:${port}`)
        return listener
      },
      tallies,
      warn: (message) => void warned.push(message),
      now: () => now,
    })
  })

  it('are ports where another user listens than the application’s', () => {
    for (const [uid, refusal] of [
      [4201, null],
      [undefined, null],
      [4202, 'EACCES'],
      [0, 'EACCES'],
    ] as const) {
      listener = uid
      expect(guard.refusal('127.0.0.1', 8080, app), String(uid)).to.equal(refusal)
    }
    expect(tallies.otherUserDials).to.equal(2)
    expect(warned).to.have.length(1)
    expect(warned[0]).to.include('user 4202 listens at 127.0.0.1:8080, not user 4201')
  })

  it('are not looked for where no user is named', () => {
    listener = 4202
    expect(guard.refusal('10.0.0.1', 8080, ledger)).to.equal(null)
    expect(asked).to.deep.equal([])
  })

  it('are listeners of our own, where nothing counts how often a request passes; HTTP has Via', () => {
    expect(guard.refusal('10.0.0.5', 21_000, ledger)).to.equal('ELOOP')
    expect(guard.refusal('10.0.0.5', 21_000, keyOf('http'))).to.equal(null)
    expect(guard.refusal('10.0.0.5', 21_000, keyOf('http'), true), 'raw bytes have none').to.equal('ELOOP')
    expect(tallies.loopDials).to.equal(2)
    now = 9_999
    guard.refusal('10.0.0.5', 21_000, ledger)
    expect(warned).to.have.length(1)
    now = 10_000
    guard.refusal('10.0.0.5', 21_000, ledger)
    expect(warned).to.have.length(2)
  })
})
