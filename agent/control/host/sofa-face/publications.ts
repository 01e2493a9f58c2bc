/**
 * Services that SOFARPC applications of this host publish: who may, what becomes of it, and how it ends. A client says
 * where it serves once, at its start, and need not live to take it back: so what it published is checked, and what
 * nobody could connect to for `forgottenMs` is taken back.
 */
import { parseServiceName, serviceKey, type ServiceName } from '../../../../contracts/endpoint.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { protocolOfWord, type AppProtocol } from '../../../../contracts/protocols.ts'
import type { LocalCallers } from '../../../../guard/local-callers.ts'
import type { Caller } from '../../../../guard/caller.ts'
import { announceProblem, holderOf, listenerOf, touchProblem, type FacePolicy } from '../../../../guard/face-policy.ts'
import type { Control } from '../../control.ts'
import { announce } from '../applications/announce.ts'
import { applicationId, type Application, type CheckSpec } from '../applications/application.ts'
import { usersOfService } from '../face-policy.ts'
import type { PublishRequest, ServiceRequest } from './requests.ts'

/** Of one user, root and the agent's own user apart: each takes a port of everybody's range. */
export const maxPerUser = 200
export const forgottenMs = 300_000

const check: CheckSpec = {
  kind: 'tcp',
  intervalMs: 5000,
  timeoutMs: 1000,
  healthyThreshold: 1,
  unhealthyThreshold: 3,
}

/** SOFARPC's word to ours; what is not here nobody carries. */
const protocols: Readonly<Record<string, string>> = {
  bolt: 'bolt',
  dubbo: 'dubbo',
  http: 'http',
  rest: 'http',
  h2c: 'http2',
  triple: 'grpc',
}

export class Publications {
  private readonly control: Control
  private readonly callers: Pick<LocalCallers, 'uidOfListener'>
  private readonly policy: FacePolicy
  /** Since when nobody could connect, monotonic ms. */
  private readonly silentSince = new Map<string, number>()

  constructor(control: Control, callers: Pick<LocalCallers, 'uidOfListener'>, policy: FacePolicy) {
    this.control = control
    this.callers = callers
    this.policy = policy
  }

  /**
   * Resolves when it is kept on disk. Rejects with E_APPLICATION_REFUSED for what the caller may not do, and with
   * E_PORT_RANGE_FULL; nothing is changed then.
   */
  async publish(request: PublishRequest, caller: Caller): Promise<void> {
    const { control } = this
    const { host } = control
    const service = this.serviceOf(request)
    const port = request.port ?? control.config.sofaFace.serverPort
    const address = this.addressOf(port, caller)
    const id = applicationId(service, address, port)
    const present = host.registrar.get(id)
    this.mayPublish(service, { address, port }, present, caller)
    // an operator, or its own Nacos client, says more; that stays in force
    if (present !== undefined && present.source !== 'sofa') return
    const protocol = protocolOf(request)
    this.silentSince.delete(id)
    await announce(control, {
      id,
      source: 'sofa',
      service,
      address,
      port,
      protocol,
      registry: control.config.sofaFace.registry,
      cluster: undefined,
      weight: 1,
      enabled: true,
      healthy: true,
      metadata: metadataOf(request),
      labels: {},
      user: undefined,
      listenerUser: listenerOf(this.policy, caller, port),
      inboundPort: undefined,
      check,
      sofa: { owner: caller.uid },
    })
  }

  /** Clients name no port: all that the caller published of the service. Others are told apart and refused. */
  async unpublish(request: ServiceRequest, caller: Caller): Promise<void> {
    const key = serviceKey(this.serviceOf(request))
    const found = this.all().filter(({ service }) => serviceKey(service) === key)
    const problems = found.map(({ sofa }) => touchProblem(this.policy, caller, sofa?.owner))
    const own = found.filter((_, at) => problems[at] === undefined)
    if (own.length === 0 && found.length > 0) throw refused(`${key}: ${problems[0]}`)
    for (const { id } of own) await this.remove(id)
  }

  /** Takes back what is not there any more. */
  async sweep(now: number): Promise<void> {
    const views = this.control.host.registrar.views().filter(({ application }) => application.source === 'sofa')
    for (const { application, health } of views) {
      const { id } = application
      if (health !== false) this.silentSince.delete(id)
      else if (!this.silentSince.has(id)) this.silentSince.set(id, now)
      else if (now - this.silentSince.get(id)! >= forgottenMs) {
        this.control.deps.log.warn({ id }, `${id}: nobody answers there for ${forgottenMs / 1000} s; taken back`)
        await this.remove(id)
      }
    }
  }

  /** Everything: the face was switched off. */
  async clear(): Promise<void> {
    for (const { id } of this.all()) await this.remove(id)
  }

  private all(): Application[] {
    return this.control.host.registrar.applications().filter(({ source }) => source === 'sofa')
  }

  private async remove(id: string): Promise<void> {
    this.silentSince.delete(id)
    await this.control.host.applications.remove(id)
  }

  /** As frames name it: older clients put `@DEFAULT` behind. */
  serviceOf({ serviceName }: ServiceRequest): ServiceName {
    const name = serviceName.replace(/@[A-Za-z0-9_]*$/, '')
    const service = name.includes('@') ? undefined : parseServiceName(name, this.control.config.serviceDefaults)
    if (service === undefined)
      throw refused(`serviceName: found "${serviceName.slice(0, 64)}", allowed letters, digits and . _ : $ -`)
    return service
  }

  /** In whose share of a bound its questions count. */
  shareOf(caller: Caller): string | undefined {
    return holderOf(this.policy, caller)
  }

  /**
   * A client does not say at which address of this host it listens: where it does, whoever else has the port at the
   * other one.
   */
  private addressOf(port: number, { uid }: Caller): string {
    const addresses = ['127.0.0.1', this.control.config.host.address]
    const listeners = addresses.map((at) => this.callers.uidOfListener(at, port))
    const own = listeners.findIndex((one) => one !== undefined && one === uid)
    return addresses[own < 0 ? listeners.findIndex((one) => one !== undefined) : own] ?? '127.0.0.1'
  }

  private mayPublish(
    service: ServiceName,
    at: { readonly address: string; readonly port: number },
    present: Application | undefined,
    caller: Caller,
  ): void {
    const { control, policy } = this
    const applications = control.host.registrar.applications()
    const key = serviceKey(service)
    const isSame = (one: Application): boolean => serviceKey(one.service).toLowerCase() === key.toLowerCase()
    const byFace = applications.flatMap((one) => (one.face !== undefined && isSame(one) ? [one.face.owner] : []))
    const problem =
      announceProblem(policy, caller, {
        service: key,
        name: service.name,
        group: service.group,
        port: at.port,
        weight: 1,
        listener: this.callers.uidOfListener(at.address, at.port),
        holders: [...usersOfService(applications, service, at, control.deps.uidOf), ...byFace],
      }) ?? control.host.applications.placeProblem(at.address, at.port)
    if (problem !== undefined) throw refused(problem)
    if (present !== undefined || policy.trusted.has(caller.uid!)) return
    const held = this.all().filter(({ sofa }) => sofa?.owner === caller.uid).length
    if (held >= maxPerUser)
      throw refused(`user ${caller.uid} has published ${held} services, ${maxPerUser} are allowed`)
  }
}

function refused(message: string): MeshError {
  return new MeshError('E_APPLICATION_REFUSED', message)
}

function protocolOf({ protocolType }: PublishRequest): AppProtocol {
  const word = (protocolType ?? 'bolt').toLowerCase()
  const protocol = protocolOfWord(Object.hasOwn(protocols, word) ? protocols[word] : undefined)
  if (protocol === undefined)
    throw refused(`protocolType: found "${word.slice(0, 32)}", allowed ${Object.keys(protocols).join(', ')}`)
  return protocol
}

/** Names of our own are not for clients to say. */
function metadataOf({ providerMetaInfo }: PublishRequest): Record<string, string> {
  const { appName, properties, serializeType } = providerMetaInfo ?? {}
  const own = Object.entries(properties ?? {}).filter(([key]) => !key.toLowerCase().startsWith('hostmesh.'))
  return {
    ...Object.fromEntries(own),
    ...(appName ? { appName } : {}),
    ...(serializeType ? { serialization: serializeType } : {}),
  }
}
