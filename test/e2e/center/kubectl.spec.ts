/** An unmodified kubectl writes rules at a center; the center's own workers follow them, over restarts. */
import { expect } from 'chai'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { freePort } from '../../support/free-port.ts'
import { type DemoHost, Mesh } from '../../support/mesh/mesh.ts'

const run = promisify(execFile)

const redirect = (path: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec:
  hosts: [orders]
  http:
    - redirect: { uri: ${path} }
`

describe('kubectl and a center', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let center: DemoHost
  let home: string
  let api: string
  let shared: number
  let address: string
  before(async function () {
    await run('kubectl', ['version', '--client']).catch(() => {
      console.log('skipped: kubectl is not installed (Debian: kubernetes-client)')
      this.skip()
    })
    home = mkdtempSync(join(tmpdir(), 'hostmesh-kubectl-'))
    mesh = await Mesh.open([])
    shared = await freePort()
    const port = await freePort()
    center = mesh.host('center', {
      role: 'center',
      extra: {
        rulesApi: { address: `127.0.0.1:${port}`, withoutToken: 'admin' },
        outbound: { http: `127.0.0.1:${shared}` },
      },
    })
    address = `http://127.0.0.1:${port}`
    api = `--server=${address}`
    center.start()
    await center.ready()
  })
  after(async () => {
    await mesh?.close()
    rmSync(home, { recursive: true, force: true })
  })

  async function kubectl(...words: string[]): Promise<string> {
    const argv = ['--kubeconfig=/dev/null', `--cache-dir=${home}/cache`, api, ...words]
    const env = { ...process.env, KUBE_EDITOR: 'sed -i s#/edited-before#/edited#' }
    const { stdout, stderr } = await run('kubectl', argv, { env }).catch(
      (error: { stdout: string; stderr: string; code: number }) => error,
    )
    return stdout + stderr
  }
  const file = (path: string): string => {
    const name = join(home, 'rule.yaml')
    writeFileSync(name, redirect(path))
    return name
  }
  /** Where the center's worker leads a request for `orders`; polled, for workers are told a moment later. */
  async function leadsTo(path: string): Promise<void> {
    const deadline = performance.now() + 30_000
    for (;;) {
      const location = await new Promise<string | undefined>((resolve, reject) => {
        request({ host: '127.0.0.1', port: shared, headers: { host: 'orders' } }, (reply) => {
          reply.resume()
          resolve(reply.headers.location)
        })
          .on('error', reject)
          .end()
      }).catch(() => undefined)
      if (location?.endsWith(path) === true) return
      if (performance.now() > deadline) throw new Error(`leads to ${location}, not to ${path}`)
    }
  }

  it('applies, gets, diffs, edits, explains, labels, watches and deletes', async () => {
    expect(await kubectl('apply', '-f', file('/one'))).to.contain('created')
    await leadsTo('/one')
    expect(await kubectl('get', 'vs', '-A')).to.match(/shop +orders/)
    expect(await kubectl('get', 'virtualservices.networking.istio.io', '-n', 'shop', 'orders', '-o', 'yaml')).to.match(
      /reason: Applied/,
    )
    expect(await kubectl('diff', '-f', file('/edited-before'))).to.match(/-.*uri: \/one\n\+.*uri: \/edited-before/)
    const watching = spawn('kubectl', ['--kubeconfig=/dev/null', api, 'get', 'vs', '-n', 'shop', '-w', '-o', 'name'])
    let seen = ''
    watching.stdout.on('data', (bytes: Buffer) => (seen += bytes.toString()))
    const seenTimes = async (count: number): Promise<void> => {
      while ((seen.match(/virtualservice/g) ?? []).length < count)
        await new Promise((resolve) => watching.stdout.once('data', resolve))
    }
    await seenTimes(1)
    expect(await kubectl('apply', '-f', join(home, 'rule.yaml'))).to.contain('configured')
    await seenTimes(2)
    watching.kill()
    expect(await kubectl('edit', '-n', 'shop', 'vs', 'orders')).to.contain('edited')
    await leadsTo('/edited')
    expect(await kubectl('explain', 'virtualservice.spec.http.redirect')).to.match(/uri\t/)
    expect(await kubectl('label', '-n', 'shop', 'vs', 'orders', 'team=a')).to.contain('labeled')
    expect(await kubectl('get', 'vs', '-A', '-l', 'team=a', '-o', 'name')).to.contain('virtualservice')
    expect(await kubectl('apply', '--server-side', '-f', file('/two'))).to.contain('conflict with "kubectl-edit"')
    expect(await kubectl('apply', '--server-side', '--force-conflicts', '-f', file('/two'))).to.contain('applied')
    await leadsTo('/two')
    expect(await kubectl('delete', '-f', file('/two'))).to.contain('deleted')
    expect(await kubectl('get', 'vs', '-A')).to.contain('No resources found')
  })

  for (const [group, short, resource] of [
    [
      'security.istio.io/v1',
      'authorizationpolicies',
      {
        kind: 'AuthorizationPolicy',
        spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin'] } }] }] },
      },
    ],
    ['hostmesh.io/v1', 'mp', { kind: 'MeshPolicy', spec: { hosts: ['orders'], panicThresholdPercent: 30 } }],
  ] as const)
    it(`has ${resource.kind} of ${group}, too`, async () => {
      const { kind, spec } = resource
      const name = join(home, 'policy.yaml')
      const write = (change: object): void =>
        writeFileSync(
          name,
          stringify({
            apiVersion: group,
            kind,
            metadata: { name: 'guard', namespace: 'shop' },
            spec: { ...spec, ...change },
          }),
        )
      write({})
      expect(await kubectl('apply', '-f', name)).to.contain('created')
      expect(await kubectl('apply', '-f', name)).to.contain('unchanged')
      expect(await kubectl('get', short, '-n', 'shop', '-o', 'yaml')).to.match(/reason: Applied/)
      expect(await kubectl('explain', `${short}.spec`, `--api-version=${group}`)).to.contain(Object.keys(spec)[0])
      expect(await kubectl('get', `${kind.toLowerCase()}.${group.split('/')[0]}`, '-n', 'shop', 'guard')).to.match(
        /guard/,
      )
      write({ unheardOf: 1 })
      expect(await kubectl('apply', '-f', name)).to.contain('spec.unheardOf: unknown field')
      expect(await kubectl('delete', short, '-n', 'shop', 'guard')).to.contain('deleted')
      expect(await kubectl('get', short, '-A')).to.contain('No resources found')
    })

  it('is told what is wrong with a rule, and nothing is written', async () => {
    writeFileSync(join(home, 'bad.yaml'), redirect('/x').replace('redirect', 'redirekt'))
    expect(await kubectl('apply', '-f', join(home, 'bad.yaml'))).to.contain(
      'spec.http[0].redirekt: unknown field (nearest: redirect)',
    )
    expect(await kubectl('get', 'vs', '-A')).to.contain('No resources found')
  })

  it('shows who changed a rule and takes the change back, unless somebody changed it since', async () => {
    const hostmesh = async (...words: string[]): Promise<{ code: number; text: string }> => {
      const argv = ['cli/main.ts', 'rules', ...words, '-c', center.configPath]
      const done = await run(process.execPath, argv).catch(
        (error: { stdout: string; stderr: string; code: number }) => error,
      )
      return { code: 'code' in done ? done.code : 0, text: done.stdout + done.stderr }
    }
    const rule = ['VirtualService', 'shop/orders'] as const
    expect(await kubectl('apply', '-f', file('/good'))).to.contain('created')
    expect(await kubectl('apply', '-f', file('/bad'))).to.contain('configured')
    await leadsTo('/bad')
    const shown = await hostmesh('history', ...rule, '--diff')
    expect(shown.text).to.match(/\d+ {2}patch by anybody on this machine, 2/)
    expect(shown.text).to.match(/- .*uri: \/good\n\+ .*uri: \/bad/)
    const [newest, before] = [...shown.text.matchAll(/^(\d+) {2}\w+ by/gm)].map((match) => match[1]!)
    const late = await hostmesh('revert', ...rule, '--change', before!)
    expect(late.code).to.equal(1)
    expect(late.text).to.contain(`was followed by change ${newest} (patch by anybody on this machine`)
    expect(await hostmesh('revert', ...rule, '--change', newest!)).to.include({ code: 0 })
    await leadsTo('/good')
    expect(await kubectl('delete', '-f', file('/good'))).to.contain('deleted')
  })

  it('finds its rules again after a hot restart and after SIGKILL of the whole center', async () => {
    expect(await kubectl('apply', '-f', file('/kept'))).to.contain('created')
    await leadsTo('/kept')
    await center.reload()
    expect(await kubectl('apply', '-f', file('/kept-again'))).to.contain('configured')
    await leadsTo('/kept-again')
    await center.signal('generation', 'SIGKILL')
    await leadsTo('/kept-again')
    const deadline = performance.now() + 30_000
    while (!(await kubectl('get', 'vs', '-n', 'shop')).includes('orders'))
      expect(performance.now(), 'the API is back').to.be.below(deadline)
    expect(center.lastLines(200).join('\n')).to.contain('audit: anybody on this machine from 127.0.0.1: create')
  })
})
