/** All links, looked at side by side. */
import { releaseName } from '../version.ts'
import { ownerOf } from '../trusted-socket.ts'
import { formatProblem } from '../../agent/control/config/problem.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { applicationFindings, certificateFindings, controlFindings, portFindings, ruleFindings } from './agent.ts'
import { centerFindings } from './center.ts'
import { clockFindings } from './clock.ts'
import type { Facts } from './facts.ts'
import { type Finding, inOrder } from './finding.ts'
import { diskFindings, fileFindings } from './machine.ts'
import { addressFindings, kernelPortFindings, nameFindings } from './network.ts'
import { memoryFindings, relayFindings, releaseFindings, servingOf, watchdogFindings } from './processes.ts'
import { announcedFindings, registryFindings } from './registry.ts'
import { requestFindings } from './request.ts'
import { unitFindings } from './unit.ts'

const releaseFile = new URL('../../package.json', import.meta.url)

/** The user that the agent runs as: the owner of its run directory. */
export function agentUser({ config }: Facts): number | undefined {
  return config === undefined ? undefined : ownerOf(config.runDir)
}

/**
 * @param service whether a request to it arrives; undefined = only the host itself.
 * @param agent user id of the agent.
 * @param wall epoch ms.
 */
export async function lookAt(
  facts: Facts,
  service: string | undefined,
  path: string,
  agent: number | undefined,
  wall: () => number,
): Promise<Finding[]> {
  const { config, pages, watchdog } = facts
  const told = [configurationFindings(facts)]
  const asked = [clockFindings(config, wall, releaseFile)]
  if (config !== undefined) {
    told.push(watchdogFindings(facts), controlFindings(facts), kernelPortFindings(config), diskFindings(config))
    told.push(addressFindings(facts))
    asked.push(unitFindings(facts), nameFindings(config), registryFindings(config, pages, facts))
    asked.push(centerFindings(config, facts))
  }
  if (config !== undefined && watchdog.kind === 'answer') {
    const state = watchdog.value
    told.push(releaseFindings(state, releaseName(), facts), fileFindings(facts, servingOf(state)?.children ?? []))
    told.push(memoryFindings(state, config, facts))
    if (config.role === 'agent') told.push(relayFindings(state, config, facts))
  }
  if (config !== undefined && pages.kind === 'answer') {
    told.push(ruleFindings(pages.value, facts), certificateFindings(pages.value, wall(), facts))
    told.push(portFindings(pages.value, config, agent, facts))
    asked.push(applicationFindings(pages.value, facts), announcedFindings(config, pages.value, facts))
  }
  if (service !== undefined) asked.push(ofRequest(service, path, config, facts))
  const findings = inOrder([...told, ...(await Promise.all(asked))].flat())
  return isStranger(agent) ? findings.map((finding) => asStranger(finding, facts)) : findings
}

function isStranger(agent: number | undefined): boolean {
  const own = process.geteuid?.()
  return own !== 0 && agent !== undefined && own !== agent
}

/** What another user than the agent's may not read is no fault of the host. */
function asStranger(finding: Finding, { command }: Facts): Finding {
  const isDenied = finding.state === 'bad' && /EACCES|EPERM/.test(`${finding.says} ${finding.proof}`)
  return isDenied ? { ...finding, state: 'unknown', next: `sudo ${command('doctor')}` } : finding
}

function ofRequest(service: string, path: string, config: AgentConfig | undefined, facts: Facts): Promise<Finding[]> {
  if (config !== undefined && facts.pages.kind === 'answer')
    return requestFindings(service, path, config, facts.pages.value, facts)
  const says = `${service}: nobody says where a request would go`
  const proof = 'control does not answer, or the configuration is not understood: see there'
  return Promise.resolve([{ link: 'request', state: 'unknown', says, proof, next: facts.command('status') }])
}

/** What the machine says about its own ports stands under `kernel ports`. */
function configurationFindings({ file, problems, command }: Facts): Finding[] {
  const found = problems
    .filter(({ message }) => !message.includes('ephemeral range'))
    .map((problem): Finding => ({
      link: 'configuration',
      state: problem.severity === 'error' ? 'bad' : 'warning',
      says: formatProblem(problem),
      proof: file,
      next: command('check'),
    }))
  return found.length > 0
    ? found
    : [{ link: 'configuration', state: 'good', says: `${file} is good, with all it names` }]
}
