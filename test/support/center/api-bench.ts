/** The rules API on a real port over a store in files, with tokens. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../contracts/clock.ts'
import { RuleStore } from '../../../agent/control/core/rules/rule-store.ts'
import type { RuleDocument } from '../../../agent/control/core/rules/types.ts'
import { ApiAnswers } from '../../../agent/control/rules-api/api-answers.ts'
import type { ApiSection } from '../../../agent/control/rules-api/api-section.ts'
import { ApiServer } from '../../../global-mesh-center/rules-api/api-server.ts'
import { KeptRules } from '../../../agent/control/rules-api/kept-rules.ts'
import type { ChangeLine } from '../../../agent/control/rules-api/rule-writes.ts'
import { Tokens } from '../../../global-mesh-center/rules-api/tokens.ts'
import { FileStore } from '../../../agent/control/store/file-store.ts'
import type { StoreListener } from '../../../agent/control/store/store.ts'
import { eventually } from '../worker/eventually.ts'

export const tokens = { admin: 'a'.repeat(32), shop: 's'.repeat(32), reader: 'r'.repeat(32), host: 'h'.repeat(32) }
export const rulesPath = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // what a test reads of an answer is what it is about
  readonly body: {
    readonly message: string
    readonly reason: string
    readonly items: readonly Answer['body'][]
    readonly metadata: Readonly<Record<string, string>> & { readonly labels?: Readonly<Record<string, string>> }
    readonly spec: { readonly hosts: readonly string[]; readonly http: readonly { readonly timeout?: string }[] }
    readonly details: { readonly causes: readonly { readonly field: string; readonly message: string }[] }
    readonly status: { readonly conditions: readonly { readonly reason: string }[] }
  }
}

export function virtualService(name: string, change: object = {}, metadata: object = {}): object {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, ...metadata },
    spec: { hosts: [name], http: [{ route: [{ destination: { host: name } }], ...change }] },
  }
}

/** `sections`: what other parts answer at the same port. `listeners` hear the store, too. */
export async function openApiBench(sections: readonly ApiSection[] = [], listeners: readonly StoreListener[] = []) {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-rules-api-'))
  const folder = join(home, 'store')
  const tokensFile = join(home, 'tokens')
  writeFileSync(
    tokensFile,
    JSON.stringify([
      { user: 'root', token: tokens.admin, role: 'admin' },
      { user: 'shop-ci', token: tokens.shop, role: 'write', namespaces: ['shop'] },
      { user: 'dashboard', token: tokens.reader, role: 'read' },
      { user: 'web-1', token: tokens.host, role: 'host' },
    ]),
    { mode: 0o600 },
  )
  const warnings: string[] = []
  const changes: ChangeLine[] = []
  const log = {
    debug() {},
    info: (fields: object) => void ('audit' in fields && changes.push(fields.audit as ChangeLine)),
    warn: (_fields: object, message: string) => void warnings.push(message),
    error() {},
  }
  const counts = new Map<string, number>()
  const metrics = {
    count: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    gauge: (name: string, _labels: object, value: number) => void counts.set(name, value),
  }
  const store = new FileStore({ folder, clock: systemClock, log })
  const rules = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' })
  const documents: { now: readonly RuleDocument[] } = { now: [] }
  const core = {
    replaceRules(source: string, now: readonly RuleDocument[]): void {
      documents.now = now
      rules.replaceSource(source, now)
    },
  }
  const kept = new KeptRules({
    source: 'center',
    store,
    scope: { namespace: 'public', group: 'DEFAULT_GROUP' },
    control: { core, deps: { rules }, timeline: { add() {} } },
    version: '1.2.3',
    clock: systemClock,
    random: () => 0.5,
    log,
    metrics,
  })
  const { api, catalog, writes } = kept
  for (const section of sections) kept.serve(section)
  for (const listener of listeners) kept.listen(listener)
  const answers = new ApiAnswers({ api, catalog, clock: systemClock, log, metrics })
  const server = new ApiServer(
    {
      address: { host: '127.0.0.1', port: 0 },
      tls: undefined,
      tokens: new Tokens(tokensFile, () => performance.now()),
      withoutToken: undefined,
    },
    { answers, clock: systemClock, log, metrics },
  )
  const port = await server.listen()
  await eventually(() => catalog.revision >= 0)
  const base = `http://127.0.0.1:${port}`
  return {
    base,
    kept,
    store,
    writes,
    port,
    counts,
    warnings,
    changes,
    catalog,
    documents,
    async call(
      method: string,
      path: string,
      body?: object | string,
      more: Record<string, string> = {},
    ): Promise<Answer> {
      const answer = await fetch(base + path, {
        method,
        headers: { authorization: `Bearer ${tokens.admin}`, 'content-type': 'application/json', ...more },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer['body'] }
    },
    breakStore(): void {
      renameSync(folder, `${folder}.away`)
      writeFileSync(folder, 'no folder')
    },
    async close(): Promise<void> {
      await server.close()
      await store.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
