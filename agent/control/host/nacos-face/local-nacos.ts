/** The Nacos face of this host, when it is switched on: what it asks of the mesh, answered by control. */
import { metadataKeys, serviceKey, type ServiceKey, type ServiceName } from '../../../../contracts/endpoint.ts'
import { protocolOfWord } from '../../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import { MeshError, describeError } from '../../../../contracts/errors.ts'
import type { AdapterDeps, Subscription } from '../../../../contracts/registry-adapter.ts'
import type {
  FaceApplication,
  FaceDeps,
  FaceServiceListener,
  NacosFace,
} from '../../../../registry-adapters/nacos/face/index.ts'
import type { FacePolicy } from '../../../../guard/face-policy.ts'
import type { LocalCallers } from '../../../../guard/local-callers.ts'
import type { PortRange } from '../../config/scalars.ts'
import type { Control } from '../../control.ts'
import { announce } from '../applications/announce.ts'
import { applicationId, type Application } from '../applications/application.ts'
import { isLocalAddress } from '../applications/place.ts'
import { listedServices } from './listed-services.ts'
import { facePolicy, servicesOfUser, usersOfService } from '../face-policy.ts'
import { readSecret } from '../../kinds/secret-file.ts'
import { kindOf } from '../../kinds/registries.ts'
import { outboundListener } from '../listeners/listeners.ts'

const retryMs = 2000

export class LocalNacos {
  private readonly control: Control
  private readonly adapterDeps: AdapterDeps
  private face: NacosFace | undefined
  private problem: string | undefined
  private cancelRetry: (() => void) | undefined
  private readonly callers: LocalCallers
  private readonly policy: FacePolicy
  private isClosed = false
  private subscriptions = 0

  constructor(control: Control, adapterDeps: AdapterDeps, callers: LocalCallers) {
    this.control = control
    this.adapterDeps = adapterDeps
    this.callers = callers
    this.policy = facePolicy(control.config, control.deps.uidOf, (message) => adapterDeps.log.warn({}, message))
  }

  /** Does nothing where the face is off. A taken port is a fault, tried again: the predecessor may still have it. */
  async open(): Promise<void> {
    const { nacosFace } = this.control.config
    if (!nacosFace.enabled || this.isClosed) return
    // loaded only where it is used
    const { createNacosFace } = await import('../../../../registry-adapters/nacos/face/index.ts')
    this.face ??= createNacosFace(
      {
        host: nacosFace.address,
        port: nacosFace.httpPort,
        grpcPort: nacosFace.grpcPort,
        hostNames: nacosFace.hostNames,
        limits: { maxServicesPerUser: halfOf(this.control.config.outbound.portRange) },
        logins: nacosFace.grants.flatMap(({ login, passwordFile }) =>
          login === undefined || passwordFile === undefined
            ? []
            : [{ username: login, password: readSecret(passwordFile) }],
        ),
      },
      this.faceDeps(),
    )
    try {
      await this.face.start()
      this.problem = undefined
    } catch (error) {
      this.problem = `nacosFace: ${describeError(error)}; tried again`
      this.adapterDeps.log.warn({ code: error instanceof MeshError ? error.code : 'E_INTERNAL' }, this.problem)
      this.cancelRetry = this.control.deps.clock.after(retryMs, () => void this.open())
    }
  }

  faults(): string[] {
    return this.problem === undefined ? [] : [this.problem]
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.cancelRetry?.()
    await this.face?.close()
    this.face = undefined
  }

  private faceDeps(): FaceDeps {
    const { control } = this
    return {
      ...this.adapterDeps,
      policy: () => this.policy,
      uidOf: (socket) => this.callers.uidOf(socket),
      uidOfListener: (address, port) => this.callers.uidOfListener(address, port),
      usersOfService: (service, address, port) =>
        usersOfService(control.host.registrar.applications(), service, { address, port }, control.deps.uidOf),
      servicesOfUser: (uid, namespace) =>
        servicesOfUser(control.host.registrar.applications(), uid, namespace, control.deps.uidOf),
      restoredApplications: () =>
        control.host.registrar.applications().flatMap((application) => faceApplication(application) ?? []),
      registerApplication: (application) => this.register(application),
      updateApplication: (application) => this.register(application),
      deregisterApplication: async (id) => {
        const found = control.host.registrar.applications().find((one) => one.face?.id === id)
        if (found !== undefined) await control.host.applications.remove(found.id)
      },
      subscribeService: (service, listener) => this.subscribe(service, listener),
      listServices: (namespace, limit, signal) => listedServices(control.deps.adapters, namespace, limit, signal),
      configOf: (namespace) => {
        const registry = control.config.registries.find((one) => kindOf(one).naming(one)?.namespace === namespace)
        return control.deps.adapters.find((adapter) => adapter.name === registry?.name)?.config
      },
      isLocalAddress: (address) => isLocalAddress(address, control.config.host.address),
    }
  }

  private async register(face: FaceApplication): Promise<void> {
    const { control } = this
    const id = applicationId(face.service, face.address, face.port)
    // an operator says more than a client can; that stays in force
    const present = control.host.registrar.get(id)
    if (present !== undefined && present.source !== 'face') return
    const refused = control.host.applications.placeProblem(face.address, face.port)
    if (refused !== undefined) throw new MeshError('E_APPLICATION_REFUSED', `${id}: ${refused}`)
    await announce(control, {
      id,
      source: 'face',
      service: face.service,
      address: face.address,
      port: face.port,
      protocol: face.protocol ?? 'tcp',
      registry: control.config.nacosFace.registry,
      cluster: face.cluster,
      weight: face.weight,
      enabled: face.enabled,
      healthy: face.healthy,
      metadata: face.metadata,
      labels: {},
      user: undefined,
      listenerUser: face.listenerUser,
      inboundPort: undefined,
      check: undefined,
      face: { id: face.id, ephemeral: face.ephemeral, protocol: face.protocol, owner: face.owner },
    })
  }

  private subscribe(service: ServiceName, listener: FaceServiceListener): Subscription {
    const { control } = this
    const key = serviceKey(service)
    const reason = `face ${++this.subscriptions}`
    let isOver = false
    let port: number | undefined
    let hasListened = false
    const tell = (): void => {
      if (isOver) return
      const view = control.core.directory.view(key)
      if (view === undefined || (!view.isAnswered && view.set === undefined)) return
      const [first] = view.set?.endpoints ?? []
      if (first === undefined) {
        listener.onEndpoints([])
        return
      }
      // what it speaks is known with its first instance; until then there is nothing to call
      port ??= control.host.outbound.open(key, protocolOf(first.metadata), reason)
      // clients dial at once and some do not dial again for a minute: the port is told when it listens
      hasListened ||= port === undefined || control.host.readiness.listenerState(outboundListener(key)) === 'listening'
      if (!hasListened) return
      const { address } = control.config.outbound
      listener.onEndpoints(port === undefined ? [] : [{ address, port, metadata: first.metadata }])
    }
    control.core.compiler.need(key, reason)
    const stopEndpoints = control.core.onEndpoints((set) => {
      if (set.service === key) setImmediate(tell)
    })
    const stopAnswers = control.core.onAnswered((answered: ServiceKey) => {
      if (answered === key) setImmediate(tell)
    })
    const stopWorkers = control.onWorkers(() => {
      if (!hasListened) setImmediate(tell)
    })
    setImmediate(tell)
    return {
      unsubscribe: () => {
        if (isOver) return
        isOver = true
        stopEndpoints()
        stopAnswers()
        stopWorkers()
        if (port !== undefined) control.host.outbound.close(key, reason)
        control.core.compiler.drop(key, reason)
      },
    }
  }
}

/** Each service that is looked up takes a port of everybody's range. */
function halfOf({ first, last }: PortRange): number {
  return Math.max(1, Math.floor((last - first + 1) / 2))
}

function faceApplication(application: Application): FaceApplication | undefined {
  if (application.face === undefined) return undefined
  const { service, address, port, weight, enabled, healthy, metadata } = application
  return {
    service,
    address,
    port,
    weight,
    enabled,
    healthy,
    metadata,
    cluster: application.cluster ?? '',
    ...application.face,
    owner: application.face.owner,
    listenerUser: application.listenerUser,
  }
}

/** Whoever says nothing is carried byte by byte: right for every protocol. */
function protocolOf(metadata: Readonly<Record<string, string>>): AppProtocol {
  return protocolOfWord(metadata[metadataKeys.protocol]) ?? 'tcp'
}
