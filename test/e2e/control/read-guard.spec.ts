/**
 * A rule document under which control dies: the next control sets it aside, says so, serves everything else, and reads
 * it again when it has changed.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'

interface Rule {
  readonly document: string
  readonly name: string
  readonly state: string
  readonly problems: readonly { readonly message: string }[]
}

/** Long enough that its reading can be met. */
function document(routes: number): string {
  const route = (index: number): string =>
    `  - match: [{ uri: { prefix: "/p${index}" } }]\n    directResponse: { status: 418 }\n`
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: long }\nspec:\n  hosts: [long]\n  http:\n${Array.from({ length: routes }, (_, index) => route(index)).join('')}`
}

describe('a rule document under which control dies', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let host: DemoHost
  let registry: string

  before(async () => {
    registry = mkdtempSync(join(tmpdir(), 'hm-guard-'))
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: registry }])
    host = await mesh.startedHost('alpha')
  })
  after(async () => {
    await mesh?.close()
    rmSync(registry, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const rules = async (): Promise<readonly Rule[]> =>
    ((await JSON.parse((await host.admin.get('/rules?format=json')).text)) as { rules: readonly Rule[] }).rules
  const write = (name: string, text: string): void => writeFileSync(join(host.options.directory, 'rules.d', name), text)

  it('is set aside by the next control, loudly, until its text changes; other rules are in force', async () => {
    const answer = async (path: string): Promise<number> =>
      (await call(host.options.address, 15_001, { host: path === '/p1' ? 'long' : 'short' }, path)).status
    write('short.yaml', document(1).replaceAll('long', 'short').replace('/p0', '/'))
    await until(10_000, 'the short one is in force', async () => (await answer('/')) === 418)
    const long = async (): Promise<Rule | undefined> =>
      (await rules()).find((rule) => rule.document.endsWith('long.yaml'))
    let round = 0
    /** False where it was read between two looks, or a moment before the death: then it is written anew. */
    const diesWhileItReads = async (): Promise<boolean> => {
      write('long.yaml', `${document(1400)}# ${round++}\n`)
      let reader: string | undefined
      while (reader === undefined) {
        reader = readdirSync(host.stateDir).find((name) => name.startsWith('rules-reading-'))
        if (reader === undefined && (await answer('/p1')) === 418) return false
      }
      process.kill(Number(/\d+/.exec(reader)![0]), 'SIGKILL')
      await until(30_000, 'the next control knows it', async () => (await long()) !== undefined)
      return (await long())!.state === 'rejected'
    }
    await until(100_000, 'control dies while it reads it', diesWhileItReads)
    expect((await long())!.problems[0]!.message).to.match(/control died while it read this text/)
    expect(host.lastLines(200).join('\n')).to.match(/long\.yaml: control died while it read this document/)
    expect((await host.admin.get('/ready?format=json')).text).to.include('long')
    expect(await answer('/'), 'the short one').to.equal(418)
    write('long.yaml', `${document(1400)}# looked at\n`)
    await until(20_000, 'the changed text is read', async () => (await answer('/p1')) === 418)
    expect((await rules()).every((rule) => rule.state === 'applied')).to.equal(true)
  })
})
