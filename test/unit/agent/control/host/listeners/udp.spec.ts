import { expect } from 'chai'
import { applicationOf } from '../../../../../../agent/control/host/applications/application.ts'
import { resolveApplication } from '../../../../../../agent/control/config/resolve.ts'
import { applicationFileSchema } from '../../../../../../agent/control/config/schema.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'

const defaults = { namespace: 'public', group: 'DEFAULT_GROUP' }
const application = (file: object) =>
  applicationOf(
    resolveApplication(
      '',
      applicationFileSchema.parse({ service: 'clock', port: 5353, protocol: 'udp', ...file }),
      defaults,
    ),
    'file',
  )

describe('an application that takes datagrams', () => {
  let bench: Bench
  beforeEach(async () => {
    bench = await openBench()
  })
  afterEach(async () => bench.close())

  const row = () => bench.control.host.listeners.portRows().find(({ direction }) => direction === 'inbound')

  it('gets an inbound port, and is checked only as its file says', () => {
    expect(application({}).check).to.equal(undefined)
    expect(application({ check: { tcp: true } }).check).to.include({ kind: 'tcp' })
    expect(bench.control.host.listeners.addApplication(application({}))).to.be.a('number')
    expect(row()).to.include({ protocol: 'udp', problem: undefined })
  })

  it('gets none where only one user may be reached, for who takes datagrams cannot be told', () => {
    const { listeners } = bench.control.host
    expect(listeners.addApplication({ ...application({}), listenerUser: 1000 })).to.equal(undefined)
    expect(row()!.problem).to.match(/^E_LISTEN_DENIED .*cannot be told/)
  })
})
