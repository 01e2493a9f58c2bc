/**
 * Composition root of a global mesh center: the agent's control as a part, and what only a center has beside it. Its
 * workers are the agent's.
 *
 * `main.ts --config FILE --run-dir DIR --state-dir DIR --generation N [--workers N] [--alone]`
 * Exit codes as of the agent's control.
 */
import { ruleScope } from '../agent/control/config/rule-scope.ts'
import { LocalNacos } from '../agent/control/host/nacos-face/local-nacos.ts'
import { productVersion, runControl } from '../agent/control/run.ts'
import { centerId } from '../contracts/ca-api.ts'
import type { HostReport, ReportAnswer } from '../contracts/host-report.ts'
import { relayIdentityFormat } from '../contracts/relay-identity.ts'
import { stateFiles } from '../contracts/run-directory.ts'
import type { WorkloadCertificate, WorkloadCertificates } from '../contracts/workload-certificate.ts'
import { CaPart } from './ca/ca-part.ts'
import { centerKind } from './config/center-kind.ts'
import { ConsoleApi } from './console/console-api.ts'
import { DryRunsPart } from './dry-runs/dry-runs-part.ts'
import { HostFacesPart } from './host-faces/host-faces-part.ts'
import { HostsPart } from './hosts/hosts-part.ts'
import { RelayMarks } from './hosts/relay-marks.ts'
import { UnhealthyInstances } from './hosts/unhealthy-instances.ts'
import { RolloutsPart } from './rollouts/rollouts-part.ts'
import { XdsPart } from './xds/xds-part.ts'
import { RulesPart } from './rules-api/rules-part.ts'

await runControl({
  kind: centerKind,
  parts(deps) {
    const { control, callers, config } = deps
    const onCertificates = (own: WorkloadCertificates): void =>
      control.core.certificates.replaceSource('authority', own)
    const onDenied = (hosts: readonly string[]): void => control.host.listeners.denyHosts(hosts)
    // what an authority of the last run denied is nobody's word any more
    if (config.ca === undefined) onDenied([])
    const authority =
      config.ca === undefined ? undefined : new CaPart({ ...deps, section: config.ca, onCertificates, onDenied })
    if (config.ca !== undefined) {
      // the authority opens when this generation leads; its workers serve before
      const shown = control.state.read(stateFiles.relayIdentity, relayIdentityFormat) as WorkloadCertificate | null
      if (shown?.id === centerId(config.ca.trustDomain)) onCertificates([shown])
    }
    const unhealthy = new UnhealthyInstances()
    const xds =
      config.xds === undefined ? undefined : new XdsPart(config.xds, { ...deps, unhealthy, issuer: authority?.issuer })
    const marks = new RelayMarks({ unhealthy, share: config.endpoints.protectShare, core: control.core })
    const instancesAt = (addresses: ReadonlySet<string>) => [
      ...(xds?.instancesAt(addresses) ?? []),
      ...marks.instancesAt(addresses),
    ]
    const onReport = (report: HostReport): ReportAnswer => {
      return { ...dryRuns.onReport(report), ...rollouts.onReport(report) }
    }
    const hosts = new HostsPart({ ...deps, unhealthy, instancesAt, onReport })
    const rules = new RulesPart(deps, productVersion(), (documents) => xds?.takeRules(documents))
    const { store, writes } = rules
    const rollouts: RolloutsPart = new RolloutsPart({
      ...deps,
      scope: ruleScope(config),
      store,
      writes,
      rule: (key) => rules.rule(key),
      hosts: () => hosts.hosts(),
      onCandidates: (candidates) => xds?.takeCandidates(candidates),
    })
    const dryRuns: DryRunsPart = new DryRunsPart({ ...deps, writes, hosts: () => hosts.hosts() })
    rules.listen(rollouts.table)
    const faces = new HostFacesPart({ ...deps, known: (host) => hosts.known(host) })
    rules.upgrade(faces)
    const pages = new ConsoleApi((request) => deps.askAdmin(request))
    for (const section of [hosts.api, rollouts.api, dryRuns.api, pages]) rules.serve(section)
    const optional = [xds, authority].filter((part) => part !== undefined)
    return [new LocalNacos(control, deps, callers), hosts, faces, rules, rollouts, dryRuns, ...optional]
  },
})
