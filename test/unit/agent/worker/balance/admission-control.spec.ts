import { expect } from 'chai'
import { AdmissionControl } from '../../../../../agent/worker/balance/admission-control.ts'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { AdmissionControlSpec } from '../../../../../contracts/policy-spec.ts'
import { attempt, cluster, pickState } from '../../../../support/balance.ts'

const spec: AdmissionControlSpec = {
  successShare: 0.95,
  aggression: 1,
  minimumRequests: 20,
  windowMs: 10_000,
  maxRejectionShare: 0.8,
}

function after(failures: number, successes: number, traits: Partial<AdmissionControlSpec> = {}): AdmissionControl {
  const control = new AdmissionControl({ ...spec, ...traits })
  for (let nth = 0; nth < failures; nth++) control.record(false, 0)
  for (let nth = 0; nth < successes; nth++) control.record(true, 0)
  return control
}

describe('admission control by success rate', () => {
  it('refuses nothing while enough succeeds, or too few ended', () => {
    expect(after(4, 96).rejectionShare).to.equal(0)
    expect(after(19, 0).rejectionShare).to.equal(0)
    expect(after(19, 0).admits(0, 0)).to.equal(true)
  })

  it('refuses the more the more fails, with the probability of Envoy’s formula, up to its bound', () => {
    expect(after(50, 50).rejectionShare).to.be.closeTo((100 - 50 / 0.95) / 101, 1e-9)
    expect(after(50, 50, { aggression: 2 }).rejectionShare).to.be.closeTo(((100 - 50 / 0.95) / 101) ** 0.5, 1e-9)
    expect(after(100, 0).rejectionShare).to.equal(0.8)
    const control = after(100, 0)
    expect([control.admits(0.79, 0), control.admits(0.8, 0)]).to.deep.equal([false, true])
  })

  it('forgets what left its window', () => {
    const control = after(100, 0)
    expect(control.admits(0, 9000)).to.equal(false)
    expect(control.admits(0, 11_000)).to.equal(true)
  })

  it('is a refusal of its own at the destination, and counts nothing as a failure that it refused', () => {
    const failing = cluster({ policy: { admissionControl: spec } })
    const state = pickState(failing)
    for (let nth = 0; nth < 100; nth++) attempt(failing, state, Outcome.serverError, { status: 503 })
    const verdicts = Array.from({ length: 200 }, () => failing.admit(0)?.code)
    expect(new Set(verdicts)).to.deep.equal(new Set(['E_BALANCE_ADMISSION', undefined]))
    const refused = verdicts.filter((code) => code !== undefined).length
    expect(refused).to.be.within(130, 185)
    expect(failing.numbers).to.include({ admissionRefusals: refused, activeRequests: 200 - refused })
  })
})
