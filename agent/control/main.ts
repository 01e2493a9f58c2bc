/**
 * Composition root of the agent's control.
 *
 * `main.ts --config FILE --run-dir DIR --state-dir DIR --generation N [--workers N] [--alone]`
 * Exit codes: 0 told to stop, 1 could not start or a bug, 3 the configuration has problems (all of them are on standard
 * error).
 */
import type { HostReport } from '../../contracts/host-report.ts'
import { agentKind } from './config/agent-kind.ts'
import type { Control } from './control.ts'
import { HostDryRun } from './dry-run/host-dry-run.ts'
import { OrderedDryRun } from './dry-run/ordered-dry-run.ts'
import { LocalNacos } from './host/nacos-face/local-nacos.ts'
import { reportedFace } from './host/nacos-face/reported-face.ts'
import { LocalSofa } from './host/sofa-face/local-sofa.ts'
import { centerClients } from './kinds/center-clients.ts'
import { AskedRules } from './reports/asked-rules.ts'
import { CenterReports } from './reports/center-reports.ts'
import { LocalRules } from './local-rules.ts'
import { productVersion, runControl } from './run.ts'

await runControl({
  kind: agentKind,
  parts(deps) {
    const dryRun = new HostDryRun(deps)
    const ordered = new OrderedDryRun({ dryRun, config: () => deps.control.config })
    const asked = new AskedRules(deps.clock)
    return [
      new LocalNacos(deps.control, deps, deps.callers),
      new LocalSofa(deps.control, deps.callers),
      new LocalRules(deps, productVersion()),
      dryRun,
      new CenterReports({
        ...deps,
        section: () => deps.control.config.center.reports,
        clients: (section) => centerClients(section, deps),
        report: () => deps.report({ ...ordered.report(), ...faceOf(deps.control), askedRules: asked.names() }),
        onAnswer: (answer) => {
          ordered.hear(answer)
          asked.hear(answer)
        },
      }),
    ]
  },
})

function faceOf(control: Control): Pick<HostReport, 'nacosFace'> {
  const nacosFace = reportedFace(control)
  return nacosFace === undefined ? {} : { nacosFace }
}
