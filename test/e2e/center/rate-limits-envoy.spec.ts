/** A real Envoy asks a center about its requests, by the bootstrap of docs/rate-limits.md. */
import { expect } from 'chai'
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { docsBlock } from '../../support/docs/docs-block.ts'
import { needsEnvoy, startEnvoy, type RealEnvoy } from '../../support/envoy/real-envoy.ts'
import { freePort } from '../../support/free-port.ts'
import { type DemoHost, Mesh, until } from '../../support/mesh/mesh.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

describe('an Envoy whose rate-limit service is a center', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let center: DemoHost
  let envoy: RealEnvoy
  let application: Server
  let listen: number

  before(async function () {
    needsEnvoy(this)
    mesh = await Mesh.openOnFiles()
    const at = mesh.address()
    application = createServer((_incoming, reply) => reply.end('ok'))
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const [xds, admin] = [await freePort(), await freePort()]
    listen = await freePort()
    center = await mesh.startedHost('center', {
      role: 'center',
      extra: {
        xds: { address: `${at}:${xds}`, withoutToken: 'read' },
        rateLimits: {
          domains: [
            {
              domain: 'shop',
              descriptors: [
                { key: 'user', rate_limit: { unit: 'hour', requests_per_unit: 3 } },
                { key: 'remote_address', rate_limit: { unit: 'day', requests_per_unit: 100, name: 'address' } },
              ],
            },
          ],
        },
      },
    })
    const bootstrap = docsBlock('rate-limits.md', '# envoy.yaml')
      .replace('127.0.0.1, port_value: 15001', `127.0.0.1, port_value: ${listen}`)
      .replace('port_value: 9901', `port_value: ${admin}`)
      .replace('10.0.0.5, port_value: 15010', `${at}, port_value: ${xds}`)
      .replace('127.0.0.1, port_value: 8080', `127.0.0.1, port_value: ${(application.address() as AddressInfo).port}`)
    envoy = startEnvoy(bootstrap, admin)
  })
  after(async () => {
    await envoy?.stop()
    application?.close()
    await mesh?.close()
  })

  const ask = (headers: Readonly<Record<string, string>>): Promise<Answer> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: listen, headers, agent: false }, (reply) => {
        reply.resume()
        resolve({ status: reply.statusCode!, headers: reply.headers })
      })
        .on('error', reject)
        .end()
    })

  it('lets pass what the limit allows, and answers the rest with 429', async () => {
    // Envoy lets requests pass until it has a connection to the service
    await until(
      60_000,
      `a limit\n`,
      async () => (await ask({}).catch(() => undefined))?.headers['x-ratelimit-limit'] !== undefined,
    ).catch((error: Error) => expect.fail(`${error.message}${envoy.lastLines()}`))
    const answers: Answer[] = []
    for (let at = 0; at < 5; at++) answers.push(await ask({ 'x-user': 'ann' }))
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200, 429, 429])
    expect(answers.map(({ headers }) => headers['x-ratelimit-remaining'])).to.deep.equal(['2', '1', '0', '0', '0'])
    expect(answers[3]!.headers['x-envoy-ratelimited']).to.equal('true')
    expect(answers[0]!.headers['x-ratelimit-limit']).to.equal('3, 3;w=3600, 100;w=86400;name="address"')
    expect(Number(answers[0]!.headers['x-ratelimit-reset'])).to.be.within(0, 3600)
    expect((await ask({ 'x-user': 'ben' })).status).to.equal(200)
    expect(await envoy.admin('/stats?filter=ratelimit')).to.match(/ratelimit\.over_limit: 2/)
  })

  it('is counted at the center, by domain', async () => {
    await until(30_000, 'the counts', async () => {
      const { text } = await center.admin.get('/metrics')
      const isAsked = /^hostmesh_ratelimit_questions_total\{domain="shop",code="over_limit"\} 2$/m.test(text)
      return isAsked && /^hostmesh_ratelimit_counters\S* 3$/m.test(text)
    })
  })
})
