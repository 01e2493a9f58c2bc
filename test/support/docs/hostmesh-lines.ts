/**
 * The documentation's `hostmesh …` lines: run on a live host, as they stand there; or by the spec that is named, which
 * has what it needs (a center, a registry that fails, an application that breaks).
 */

export interface Run {
  /** Of the command; absent = it goes on until it is stopped. */
  readonly code?: number
  /** What it says. */
  readonly says: RegExp
}

/** By the beginning of the line, the first one that fits. */
export const runs: readonly (readonly [line: string, run: Run | string])[] = [
  ['hostmesh check --online', 'test/e2e/cli/check-online.spec.ts'],
  ['hostmesh check', { code: 0, says: /agent\.yaml/ }],
  ['hostmesh agent', 'test/e2e/cli/agent-alone.spec.ts'],
  ['hostmesh completion', 'test/unit/cli/completion/completion.spec.ts'],
  ['hostmesh connections close', 'test/e2e/telemetry/live-views.spec.ts'],
  ['hostmesh connections', 'test/e2e/telemetry/live-views.spec.ts'],
  ['hostmesh demo', 'test/e2e/spine/demo.spec.ts'],
  ['hostmesh help', 'test/unit/docs/commands.spec.ts'],
  ['hostmesh console', { code: 0, says: /127\.\d+\.\d+\.\d+/ }],
  ['hostmesh certs', { code: 0, says: /certificate|identity/i }],
  ['hostmesh ca rotate', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh ca deny', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh ca allow', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh ca show', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh ca token', 'test/support/ca/joining.ts'],
  ['hostmesh ca', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh center', 'test/e2e/center/rollout.spec.ts'],
  ['hostmesh doctor', 'test/e2e/cli/doctor.spec.ts'],
  ['hostmesh drill', 'test/e2e/cli/drill.spec.ts'],
  ['hostmesh events --follow', 'test/unit/cli/commands/live-lines.spec.ts'],
  // of a center, which has the same pages
  ['hostmesh events --json', { code: 0, says: /^[[{]/ }],
  ['hostmesh events', { code: 0, says: /start|generation|worker/ }],
  ['hostmesh explain rpc', 'test/e2e/rpc/whole-host.spec.ts'],
  ['hostmesh explain', { code: 0, says: /orders/ }],
  ['hostmesh generations', { code: 0, says: /serving/ }],
  ['hostmesh hosts', 'test/e2e/center/hosts.spec.ts'],
  ['hostmesh join', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh mtls plan', { code: 0, says: /.*/ }],
  ['hostmesh ports', { code: 0, says: /direction/ }],
  ['hostmesh registrations', { code: 0, says: /.*/ }],
  ['hostmesh rollout', 'test/e2e/center/rollout.spec.ts'],
  ['hostmesh rollback', 'test/e2e/continuity/hot-restart.spec.ts'],
  ['hostmesh outbound add', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules pull', 'test/e2e/cli/rules.spec.ts'],
  ['hostmesh rules push', 'test/e2e/cli/rules.spec.ts'],
  ['hostmesh stop', 'docs/quick-start.md'],
  ['hostmesh streams follow', 'test/e2e/telemetry/live-views.spec.ts'],
  ['hostmesh streams close', 'test/e2e/telemetry/live-views.spec.ts'],
  ['hostmesh streams', 'test/e2e/telemetry/live-views.spec.ts'],
  ['hostmesh rules dry-run', 'test/e2e/center/dry-run.spec.ts'],
  ['hostmesh rules list', { code: 0, says: /.*/ }],
  ['hostmesh rules apply', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules delete', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules history', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules revert', 'test/e2e/center/kubectl.spec.ts'],
  ['hostmesh rules', 'test/e2e/cli/rules.spec.ts'],
  ['hostmesh status', { code: 0, says: /all right/ }],
  ['hostmesh tap --failed --count', { code: 0, says: /E_ROUTE_UNKNOWN_SERVICE/ }],
  ['hostmesh tap --min 1s', 'test/unit/cli/commands/live-lines.spec.ts'],
  ['hostmesh tap orders --failed', 'test/unit/cli/commands/live-lines.spec.ts'],
  ['hostmesh tap', { says: /\/seen/ }],
  ['hostmesh top', { says: /orders/ }],
  ['hostmesh reload', { code: 0, says: /.*/ }],
  ['hostmesh upgrade', { code: 0, says: /done|serving|took over/i }],
  // each host of a test is one
  ['hostmesh watchdog', 'cli/launch/host.ts'],
  ['hostmesh support-bundle', 'test/e2e/cli/doctor.spec.ts'],
]

export const runOf = (line: string): Run | string | undefined => runs.find(([begin]) => line.startsWith(begin))?.[1]
