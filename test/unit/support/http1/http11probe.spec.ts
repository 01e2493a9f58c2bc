import { expect } from 'chai'

import { isCoreCase, judgeProbe, loadProbeCases } from '../../../support/http1/http11probe.ts'

const status = (code: number) => ({ status: code, isClosed: false })
const closed = { status: undefined, isClosed: true }
const silent = { status: undefined, isClosed: false }

describe('Http11Probe cases', () => {
  const cases = loadProbeCases()

  it('are 143, of which 64 are the core', () => {
    expect([cases.length, cases.filter(isCoreCase).length]).to.deep.equal([143, 64])
  })

  it('all have an expectation that something passes or warns and something fails', () => {
    const answers = [200, 400, 404, 405, 414, 417, 426, 431, 501, 505, 101, 302]
      .map(status)
      .concat([closed, silent] as never[])
    for (const { id, expected } of cases) {
      const verdicts = new Set(answers.map((answer) => judgeProbe(expected, answer)))
      expect(verdicts.has('pass') || verdicts.has('warn'), id).to.equal(true)
      expect(verdicts.has('fail'), id).to.equal(true)
    }
  })

  it('are judged as their description says', () => {
    expect(judgeProbe('400', status(400))).to.equal('pass')
    expect(judgeProbe('400', closed)).to.equal('fail')
    expect(judgeProbe('400 or close', closed)).to.equal('pass')
    expect(judgeProbe('400 or close', silent)).to.equal('fail')
    expect(judgeProbe('400 or close', status(501))).to.equal('fail')
    expect(judgeProbe('400/501 or close', status(501))).to.equal('pass')
    expect(judgeProbe('400 or 2xx', status(200))).to.equal('warn')
    expect(judgeProbe('400 or 2xx/404', status(404))).to.equal('warn')
    expect(judgeProbe('400/close/timeout', silent)).to.equal('pass')
    expect(judgeProbe('400/close/timeout', status(200))).to.equal('fail')
    expect(judgeProbe('200 or 400', status(400))).to.equal('pass')
    expect(judgeProbe('!101', status(200))).to.equal('pass')
    expect(judgeProbe('!101', silent)).to.equal('fail')
    expect(judgeProbe('2xx + close', { status: 200, isClosed: true })).to.equal('pass')
  })
})
