/** A name that nobody knew is no memory for ever: whatever dies meanwhile, it is asked for again. */
import { expect } from 'chai'
import { type DemoHost, Mesh, call, sharedPort, until } from '../../support/mesh/mesh.ts'

const deaths = ['control', 'generation'] as const

describe('a name that nobody knows yet', function () {
  this.timeout(90_000)
  let mesh: Mesh
  let host: DemoHost

  before(async () => {
    mesh = await Mesh.openOnFiles()
    host = await mesh.startedHost('host')
  })
  after(() => mesh?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const ask = (service: string): ReturnType<typeof call> => call(host.options.address, sharedPort, { host: service })
  const pidOfControl = async (): Promise<number | undefined> =>
    (await host.watchdogState()).generations[0]?.children.find(({ role }) => role === 'control')?.pid

  for (const role of deaths)
    it(`is found when it comes up behind the death of the ${role}`, async () => {
      const late = await mesh.httpApplication(`late-${role}`, 'v1')
      const unknown = await ask(late.service)
      expect(unknown.headers['x-mesh-error']).to.equal('E_ROUTE_UNKNOWN_SERVICE')
      const former = await pidOfControl()
      await host.signal(role, 'SIGKILL')
      await until(30_000, 'the next control leads', async () => {
        const pid = await pidOfControl()
        return pid !== undefined && pid !== former && (await host.admin.get('/ready')).status === 200
      })
      mesh.tell(late.service, [{ address: late.address, port: late.port }])
      await until(15_000, 'it is found', async () => (await ask(late.service)).status === 200)
    })
})
