import { expect } from 'chai'
import { Fault, httpFault } from '../../../http1/fault.ts'
import { errorCodes } from '../../../contracts/errors.ts'

describe('faults', () => {
  it('all have a status, a known code and a rule', () => {
    for (const fault of Object.values(Fault)) {
      const facts = httpFault(fault)
      expect(errorCodes, facts.reason).to.have.property(facts.code)
      expect(facts.status).to.be.within(400, 505)
      expect(facts.rule).to.match(/^R\d+$/)
    }
    expect(() => httpFault(0)).to.throw(RangeError)
  })
})
