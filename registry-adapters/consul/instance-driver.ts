/**
 * Registers local applications at the Consul agent, each with a TTL check that we keep passing or failing. Source: HTTP
 * API of Consul, "Agent: services, checks".
 */
import { endpointId, metadataBounds } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { Registration } from '../../contracts/registry-adapter.ts'
import type { HttpAnswer } from '../http/http-client.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import type { ConsulApi } from './consul-api.ts'

const ttlMs = 15_000
/** Consul's own minimum. */
const removeAfter = '1m'
const timeoutMs = 5000

export class InstanceDriver implements RegistrationDriver {
  readonly renewMs = ttlMs / 3
  private readonly api: ConsulApi

  constructor(api: ConsulApi) {
    this.api = api
  }

  async write(registration: Registration, signal: AbortSignal): Promise<void> {
    const id = idOf(registration)
    const weight = Math.round(registration.weight)
    const isWell = registration.healthy && registration.enabled
    const body = {
      ID: id,
      Name: registration.service.name,
      Address: registration.address,
      Port: registration.port,
      Meta: metaOf(registration.metadata),
      // Consul takes whole weights from 1 on
      Weights: { Passing: Math.max(1, weight), Warning: Math.max(1, weight) },
      Check: {
        CheckID: checkOf(id),
        Name: 'the agent of the host',
        TTL: `${ttlMs / 1000}s`,
        Status: isWell && registration.weight > 0 ? 'passing' : 'critical',
        DeregisterCriticalServiceAfter: isWell ? removeAfter : '24h',
      },
    }
    good(
      await this.api.ask('/v1/agent/service/register', { 'replace-existing-checks': 'true' }, this.put(body, signal)),
      'register',
    )
    await this.renew(registration, signal)
  }

  async renew(registration: Registration, signal: AbortSignal): Promise<'ok' | 'unknown'> {
    const isWell = registration.healthy && registration.enabled && registration.weight > 0
    const check = encodeURIComponent(checkOf(idOf(registration)))
    const answer = await this.api.ask(
      `/v1/agent/check/${isWell ? 'pass' : 'fail'}/${check}`,
      {},
      this.put(undefined, signal),
    )
    // 500 from old agents, 404 from newer ones: the check is not there
    if (answer.status === 404 || (answer.status === 500 && answer.text.includes('nknown check'))) return 'unknown'
    good(answer, 'check')
    return 'ok'
  }

  async remove(registration: Registration, signal: AbortSignal): Promise<void> {
    const id = encodeURIComponent(idOf(registration))
    const answer = await this.api.ask(`/v1/agent/service/deregister/${id}`, {}, this.put(undefined, signal))
    if (answer.status !== 404) good(answer, 'deregister')
  }

  private put(
    body: object | undefined,
    signal: AbortSignal,
  ): { method: 'PUT'; timeoutMs: number; signal: AbortSignal; body?: object } {
    return { method: 'PUT', timeoutMs, signal, ...(body === undefined ? {} : { body }) }
  }
}

/** The same after a restart, so that a successor carries on with what is there. */
function idOf(registration: Registration): string {
  return `hostmesh-${registration.service.name}-${endpointId(registration)}`
}

function checkOf(id: string): string {
  return `${id}-agent`
}

/**
 * Consul takes keys of letters, digits, `-` and `_` only, up to 128 characters, and values up to 512: dots become `__`,
 * what does not fit is left out.
 */
function metaOf(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const meta: Record<string, string> = {}
  for (const [key, value] of Object.entries(metadata).slice(0, metadataBounds.entries)) {
    const name = key.replaceAll('.', '__')
    if (/^[A-Za-z0-9_-]{1,128}$/.test(name) && value.length <= 512) meta[name] = value
  }
  return meta
}

function good(answer: HttpAnswer, what: string): void {
  if (answer.status < 200 || answer.status > 299)
    throw new MeshError(
      'E_REGISTRY_PROTOCOL',
      `${what}: Consul answered ${answer.status}: ${answer.text.slice(0, 200)}`,
    )
}
