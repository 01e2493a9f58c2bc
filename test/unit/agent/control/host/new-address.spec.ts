import { expect } from 'chai'
import { followAddress } from '../../../../../agent/control/host/new-address.ts'
import type { NewAddressDeps } from '../../../../../agent/control/host/new-address.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { OperatorReply } from '../../../../../contracts/handoff.ts'

const report = {
  id: 'a',
  kind: 'reload',
  from: 1,
  to: 2,
  release: '1',
  cause: undefined,
  evidence: [],
  startedAt: 0,
} as const

function outcome(outcome: 'done' | 'failed', cause?: string): OperatorReply {
  return { type: 'outcome', report: { ...report, outcome, cause } as never }
}

describe('a new address of a host', () => {
  interface Traits extends Partial<NewAddressDeps> {
    readonly isLeading?: boolean
    readonly isSupervised?: boolean
    readonly reply?: () => Promise<OperatorReply>
  }

  async function follow(traits: Traits = {}) {
    const { isLeading = true, isSupervised = true, reply = () => Promise.resolve(outcome('done')), ...deps } = traits
    const asked: string[] = []
    const errors: string[] = []
    const watchdog = {
      isLeading,
      isSupervised,
      ask({ type }: { readonly type: string }) {
        asked.push(type)
        return reply()
      },
    }
    const isAnnounced = await followAddress('10.0.0.9', {
      reload: () => true,
      isOther: () => true,
      watchdog: () => watchdog,
      error: (_fields, message) => errors.push(message),
      ...deps,
    })
    return { isAnnounced, asked, errors }
  }

  it('is followed by a new generation', async () => {
    expect(await follow()).to.deep.equal({ isAnnounced: true, asked: ['reload'], errors: [] })
  })

  it('is not followed yet by a generation that does not lead, or whose configuration is not valid', async () => {
    const notYet = { isAnnounced: false, asked: [], errors: [] }
    expect(await follow({ isLeading: false })).to.deep.equal(notYet)
    expect(await follow({ watchdog: () => undefined })).to.deep.equal(notYet)
    expect(await follow({ reload: () => false })).to.deep.equal(notYet)
  })

  it('is none where the configuration names the address', async () => {
    expect(await follow({ isOther: () => false })).to.deep.equal({ isAnnounced: true, asked: [], errors: [] })
  })

  it('is not announced where the watchdog refuses, or the generation fails, and why is said', async () => {
    const busy = () => Promise.reject(new MeshError('E_HANDOFF_REFUSED', 'another one is under way'))
    const refused = await follow({ reply: busy })
    expect(refused).to.deep.include({ isAnnounced: false, asked: ['reload'] })
    expect(refused.errors[0]).to.include('tried again').and.include('another one is under way')
    const failed = await follow({ reply: () => Promise.resolve(outcome('failed', 'it did not become ready')) })
    expect(failed.isAnnounced).to.equal(false)
    expect(failed.errors[0]).to.include('failed: it did not become ready')
  })

  it('is for a person to follow where there is no watchdog', async () => {
    const { asked, errors, isAnnounced } = await follow({ isSupervised: false })
    expect([isAnnounced, asked]).to.deep.equal([true, []])
    expect(errors[0]).to.include('restart it')
  })
})
