import { expect } from 'chai'

import { Output } from '../../../../../agent/worker/transport/output.ts'
import { selectTransports } from '../../../../../agent/worker/transport/select-transports.ts'
import type { WantedTransport } from '../../../../../agent/worker/transport/select-transports.ts'

describe('the choice of transports', () => {
  let logged: string[]

  beforeEach(() => {
    logged = []
  })

  const choose = async (wanted: WantedTransport, trial = '', nodeVersion = process.versions.node) => {
    let trials = 0
    const { reason, transports } = await selectTransports({
      output: new Output(),
      wanted,
      nodeVersion,
      trial: async () => {
        trials++
        return trial
      },
      log: (level, message) => logged.push(`${level} ${message}`),
    })
    return { kind: transports.kind, reason, trials }
  }

  it('is sockets of our own where their trial was passed, with one line that says so', async () => {
    expect(await choose('auto')).to.deep.equal({ kind: 'epoll', reason: 'the self-test passed', trials: 1 })
    expect(logged).to.deep.equal(['info transport epoll: the self-test passed'])
  })

  it('is raw handles where it was not, and says why', async () => {
    expect(await choose('auto', 'the self-test died of SIGSYS')).to.deep.include({
      kind: 'raw',
      reason: 'epoll: the self-test died of SIGSYS',
    })
    expect(logged).to.deep.equal(['info transport raw: epoll: the self-test died of SIGSYS'])
  })

  it('is the public ones on a Node whose handles nobody knows, with a warning', async () => {
    const { kind } = await choose('auto', 'tried on node 26.10.0, found 24.1.0', '24.1.0')
    expect(kind).to.equal('public')
    expect(logged[0]).to.match(/^warn transport public: .*24\.1\.0/)
  })

  it('is the one that is wanted, without a trial of others', async () => {
    expect(await choose('raw')).to.deep.equal({ kind: 'raw', reason: 'as configured', trials: 0 })
    expect(await choose('public')).to.deep.equal({ kind: 'public', reason: 'as configured', trials: 0 })
  })

  it('is the next one where the one that is wanted does not pass, with a warning', async () => {
    expect((await choose('epoll', 'no')).kind).to.equal('raw')
    expect(logged).to.deep.equal(['warn transport raw: epoll: no'])
  })
})
