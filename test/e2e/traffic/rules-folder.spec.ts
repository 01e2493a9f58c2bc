import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { RuleStatus } from '../../../contracts/rule-status.ts'
import { entryPoint } from '../../../cli/entry-point.ts'
import { RawCaller } from '../../support/http1/raw-caller.ts'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { ordersRoutes, resource } from '../../support/routing.ts'

describe('rules.d of a running agent', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let application: Server

  before(async () => {
    mesh = await Mesh.open([])
    application = createServer((_incoming, response) => response.end('orders'))
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    host = await mesh.startedHost('alpha')
  })
  after(async () => {
    await mesh.close()
    await new Promise((resolve) => application.close(resolve))
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh.report())
  })

  const write = (name: string, text: string): void => writeFileSync(join(host.options.directory, 'rules.d', name), text)
  const answer = (path = '/') => call(host.options.address, sharedPort, { host: 'orders' }, path)
  const statuses = async (): Promise<RuleStatus[]> =>
    ((await host.json('/rules?format=json')) as { rules: RuleStatus[] }).rules
  const entry = (): string =>
    resource(
      'ServiceEntry',
      `hosts: [orders]\nports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${(application.address() as AddressInfo).port} }]\nresolution: STATIC\nendpoints: [{ address: 127.0.0.1 }]`,
    )
  const closed = (status: string): string =>
    ordersRoutes(
      `- match: [{ uri: { exact: /closed } }]\n  directResponse: { status: ${status} }\n- route: [{ destination: { host: orders } }]`,
    )

  it('declare a service that no registry knows', async () => {
    expect((await answer()).status).to.equal(503)
    write('10-orders.yaml', entry())
    await until(20_000, 'the declared service answers', async () => (await answer()).body === 'orders')
  })

  it('take effect when a file comes or changes', async () => {
    write('20-routes.yaml', closed('410'))
    await until(20_000, 'the new rule answers', async () => (await answer('/closed')).status === 410)
    write('20-routes.yaml', closed('418'))
    await until(20_000, 'the changed rule answers', async () => (await answer('/closed')).status === 418)
    expect((await answer()).body).to.equal('orders')
  })

  it('keep the last good version of a file that is broken, and say why', async () => {
    write('20-routes.yaml', closed('soon'))
    await until(20_000, 'the status shows it', async () =>
      (await statuses()).some((status) => status.state === 'rejected'),
    )
    const bad = (await statuses()).find((status) => status.state === 'rejected')!
    expect(bad).to.include({ kind: 'VirtualService', name: 'orders', document: '20-routes.yaml', inForce: true })
    expect(bad.problems.map(({ line, path, message }) => [line, path, message])).to.deep.equal([
      [8, 'spec.http[0].directResponse.status', 'found "soon", allowed a whole number from 200 to 599'],
    ])
    expect((await answer('/closed')).status).to.equal(418)
  })

  it('keep it over a restart of control, too', async () => {
    const kept = join(host.stateDir, 'rules.json')
    await until(20_000, 'the good version is on disk', () =>
      Promise.resolve(readFileSync(kept, 'utf8').includes('418')),
    )
    const pid = ((await host.json('/server_info?format=hostmesh')) as { pid?: number }).pid
    await host.signal('control', 'SIGKILL')
    await until(
      30_000,
      'another control answers',
      async () => ((await host.json('/server_info?format=hostmesh')) as { pid?: number }).pid !== pid,
    )
    await until(20_000, 'its rules are read', async () =>
      (await statuses()).some((status) => status.state === 'rejected'),
    )
    expect((await answer('/closed')).status).to.equal(418)
  })

  it('go when their file goes', async () => {
    rmSync(join(host.options.directory, 'rules.d', '20-routes.yaml'))
    await until(20_000, 'the rule is gone', async () => (await answer('/closed')).body === 'orders')
    const left = await statuses()
    expect(
      left.map((status) => status.kind),
      JSON.stringify(left),
    ).to.deep.equal(['ServiceEntry'])
  })

  it('match the UTF-8 bytes of a value outside ASCII, and the command that explains agrees', async () => {
    const matches = 'match: [{ headers: { x-user: { exact: 张三 } } }]'
    write(
      '30-names.yaml',
      ordersRoutes(`- ${matches}\n  directResponse: { status: 299 }\n- route: [{ destination: { host: orders } }]`),
    )
    const ask = async (value: Buffer): Promise<string> => {
      const caller = await RawCaller.open(sharedPort, host.options.address)
      const head = (text: string): Buffer => Buffer.from(text, 'latin1')
      caller.send(
        Buffer.concat([
          head('GET / HTTP/1.1\r\nHost: orders\r\nX-User: '),
          value,
          head('\r\nConnection: close\r\n\r\n'),
        ]),
      )
      await caller.closed()
      caller.close()
      return caller.text.slice(9, 12)
    }
    const explained = async (value: string): Promise<string> => {
      const words = ['explain', 'http://orders/', '--header', `x-user: ${value}`, '-c', host.configPath]
      const { stdout } = await promisify(execFile)(process.execPath, [entryPoint('cli/main'), ...words])
      return stdout
    }
    await until(20_000, 'the rule answers', async () => (await ask(Buffer.from('张三'))) === '299')
    expect(await ask(Buffer.from('李四'))).to.equal('200')
    expect(await explained('张三')).to.include('answers 299')
    expect(await explained('李四')).to.not.include('answers 299')
    rmSync(join(host.options.directory, 'rules.d', '30-names.yaml'))
  })

  it('are explained', async () => {
    write('20-routes.yaml', closed('410'))
    await until(20_000, 'the rule answers', async () => (await answer('/closed')).status === 410)
    const explained = (await host.json('/explain?method=GET&host=orders&path=/x&format=json')) as {
      steps: { rule: string; matched: boolean; reason: string }[]
      destinations: { candidates: { usable: boolean }[] }[]
    }
    expect(explained.steps.map(({ rule, matched }) => [rule, matched])).to.deep.equal([
      ['http[0]', false],
      ['http[1]', true],
    ])
    expect(explained.steps[0]!.reason).to.equal('match[0]: path is "/x", wanted exact "/closed"')
    expect(explained.destinations[0]!.candidates.map((one) => one.usable)).to.deep.equal([true])
  })
})
