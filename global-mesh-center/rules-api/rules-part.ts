/** The rules of a center: in its store, and at a port of their own. */
import { ruleScope } from '../../agent/control/config/rule-scope.ts'
import type { RuleDocument } from '../../agent/control/core/rules/types.ts'
import type { AdminPage, SocketApi } from '../../agent/control/admin/http.ts'
import { KeptPort } from '../../agent/control/kept-port.ts'
import type { LeadingPart, PartDeps } from '../../agent/control/leading-part.ts'
import { ApiAnswers } from '../../agent/control/rules-api/api-answers.ts'
import type { ApiSection } from '../../agent/control/rules-api/api-section.ts'
import type { ApiUser } from '../../agent/control/rules-api/api-user.ts'
import { KeptRules } from '../../agent/control/rules-api/kept-rules.ts'
import type { KnownObject } from '../../agent/control/rules-api/rule-object.ts'
import { rulePages } from '../../agent/control/rules-api/rule-pages.ts'
import type { RuleWrites } from '../../agent/control/rules-api/rule-writes.ts'
import { rulesAtSocket } from '../../agent/control/rules-api/socket-api.ts'
import type { Store, StoreListener } from '../../agent/control/store/store.ts'
import type { CenterConfig, RulesApiConfig } from '../config/types.ts'
import { accessProblem, portAccess, type PortAccess } from '../port-access.ts'
import { createStore } from '../store/create-store.ts'
import { ApiServer, type ApiServerDeps } from './api-server.ts'
import type { ApiUpgrades } from './api-upgrades.ts'

export class RulesPart implements LeadingPart {
  readonly pages: readonly AdminPage[]
  readonly socketApi: SocketApi
  private readonly kept: KeptRules
  private readonly access: PortAccess | undefined
  private readonly server: ApiServer | undefined
  private readonly port: KeptPort | undefined

  /** `onDocuments` hears all rules of the store, at first and after each change. */
  constructor(
    deps: PartDeps<CenterConfig>,
    version: string,
    onDocuments: (documents: readonly RuleDocument[]) => void,
  ) {
    const { config } = deps
    const store = createStore(config.store, deps)
    this.kept = new KeptRules({ ...deps, source: 'center', store, scope: ruleScope(config), version, onDocuments })
    this.pages = rulePages(this.kept.api)
    const answers = new ApiAnswers({ ...deps, api: this.kept.api, catalog: this.kept.catalog })
    this.socketApi = rulesAtSocket(() => answers)
    const { rulesApi } = config
    this.access = rulesApi === undefined ? undefined : portAccess(rulesApi, deps.clock)
    const server =
      rulesApi === undefined || this.access === undefined
        ? undefined
        : serverOf(rulesApi, this.access, { ...deps, answers })
    this.server = server
    this.port = server === undefined ? undefined : new KeptPort('rulesApi', () => server.listen(), deps)
  }

  get store(): Store {
    return this.kept.store
  }

  get writes(): RuleWrites {
    return this.kept.writes
  }

  /** Answers at the port of the API, too. */
  serve(section: ApiSection): void {
    this.kept.serve(section)
  }

  /** Takes connections at the port of the API that become something else; to be called before `open`. */
  upgrade(upgrades: ApiUpgrades): void {
    this.server?.upgrade(upgrades)
  }

  /** Hears what is in the store beside rules; to be called before the first turn of the loop is over. */
  listen(listener: StoreListener): void {
    this.kept.listen(listener)
  }

  rule(key: string): KnownObject | undefined {
    return this.kept.catalog.get(key)
  }

  async open(): Promise<void> {
    this.kept.open()
    await this.port?.open()
  }

  async close(): Promise<void> {
    this.port?.close()
    await this.server?.close()
    await this.kept.close()
  }

  faults(): readonly string[] {
    const access = this.access === undefined ? undefined : accessProblem('rulesApi', this.access)
    return [this.port?.problem, access, this.store.problem()].flatMap((problem) => problem ?? [])
  }
}

function serverOf({ address, withoutToken }: RulesApiConfig, access: PortAccess, deps: ApiServerDeps): ApiServer {
  const options = { address, ...access, withoutToken: withoutToken === 'none' ? undefined : anybody(withoutToken) }
  return new ApiServer(options, deps)
}

function anybody(role: ApiUser['role']): ApiUser {
  return { name: 'anybody on this machine', role, namespaces: undefined }
}
