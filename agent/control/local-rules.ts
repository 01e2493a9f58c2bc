/**
 * Rules that this host alone was told, by the API of rules at its admin socket: kept over restarts, gone by themselves
 * where they say so, before all others. Most hosts have none, so what keeps them is loaded with the first question, or
 * by a start that finds some.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AdminPage, SocketApi } from './admin/http.ts'
import { ruleScope } from './config/rule-scope.ts'
import type { LeadingPart, PartDeps } from './leading-part.ts'
import type { ApiAnswers } from './rules-api/api-answers.ts'
import type { KeptRules } from './rules-api/kept-rules.ts'
import { rulePages } from './rules-api/rule-pages.ts'
import { rulesAtSocket } from './rules-api/socket-api.ts'

/** Name of the source of rules, at `/rules`. */
export const localSource = 'local'
/** In the state directory. */
const folderName = 'local-rules'
/** The first question waits so long for the folder to be read, ms. */
const readMs = 2000

interface Loaded {
  readonly kept: KeptRules
  readonly answers: ApiAnswers
}

export class LocalRules implements LeadingPart {
  readonly pages: readonly AdminPage[]
  readonly socketApi: SocketApi
  private readonly deps: PartDeps
  private readonly version: string
  private readonly folder: string
  private loading: Promise<Loaded> | undefined
  private kept: KeptRules | undefined
  private isLeading = false
  private isClosed = false

  constructor(deps: PartDeps, version: string) {
    this.deps = deps
    this.version = version
    this.folder = join(deps.config.stateDir, folderName)
    this.pages = rulePages({ answer: async (request) => (await this.load()).kept.api.answer(request) })
    this.socketApi = rulesAtSocket(async () => (await this.load()).answers)
    // a successor takes up what is there before it leads
    if (existsSync(this.folder)) void this.load()
  }

  async open(): Promise<void> {
    this.isLeading = true
    const { control } = this.deps
    if (this.loading !== undefined || existsSync(this.folder)) (await this.load()).kept.open()
    // rules of the last run are remembered beside the folder, and must not outlive it
    else control.core.replaceRules(localSource, [])
  }

  async close(): Promise<void> {
    this.isClosed = true
    await (await this.loading)?.kept.close()
  }

  faults(): readonly string[] {
    const problem = this.kept?.store.problem()
    return problem === undefined ? [] : [problem]
  }

  private load(): Promise<Loaded> {
    this.loading ??= this.make()
    return this.loading
  }

  private async make(): Promise<Loaded> {
    const [{ KeptRules: Kept }, { FileStore }, { ApiAnswers: Answers }] = await Promise.all([
      import('./rules-api/kept-rules.ts'),
      import('./store/file-store.ts'),
      import('./rules-api/api-answers.ts'),
    ])
    const { deps, folder, version } = this
    const store = new FileStore({ folder, clock: deps.clock, log: deps.log })
    const kept = new Kept({ ...deps, source: localSource, store, scope: ruleScope(deps.config), version })
    this.kept = kept
    if (this.isLeading && !this.isClosed) kept.open()
    const { api, catalog } = kept
    // whoever asks first finds what is there; of a folder that cannot be read the API says why
    const read = catalog.heard(0)
    const stop = deps.clock.after(readMs, read.cancel)
    await read.done
    stop()
    return { kept, answers: new Answers({ ...deps, api, catalog }) }
  }
}
