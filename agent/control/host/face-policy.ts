/** What the configuration says about local users of the faces. */
import { parseServiceName, serviceKey, type ServiceName } from '../../../contracts/endpoint.ts'
import type { FaceGrant, FacePolicy } from '../../../guard/face-policy.ts'
import type { AgentConfig } from '../config/types.ts'
import { kindOf } from '../kinds/registries.ts'
import type { Application } from './applications/application.ts'
import { userId } from './applications/source-apps.ts'

type UidOf = (name: string) => number | undefined

/** A grant to a user that the system does not know is skipped and reported. */
export function facePolicy(config: AgentConfig, uidOf: UidOf, onProblem: (message: string) => void): FacePolicy {
  const { nacosFace, registries, serviceDefaults } = config
  const own = process.getuid?.()
  return {
    trusted: new Set(own === undefined ? [0] : [0, own]),
    reads: nacosFace.configReads,
    writes: nacosFace.configWrites,
    rulesGroups: registries.flatMap((section) => kindOf(section).rulesGroup(section) ?? []),
    grants: nacosFace.grants.flatMap((grant): FaceGrant[] => {
      const to = receiver(grant, uidOf)
      if (to === undefined) {
        onProblem(`nacosFace.grants: user "${grant.user}" does not exist; nothing is granted to it`)
        return []
      }
      const services = grant.services.map((name) => serviceKey(parseServiceName(name, serviceDefaults)!))
      const { documents, maxWeight, ports, writes } = grant
      return [{ to, documents, writes, services, maxWeight, ports }]
    }),
  }
}

function receiver(grant: AgentConfig['nacosFace']['grants'][number], uidOf: UidOf): FaceGrant['to'] | undefined {
  if (grant.login !== undefined) return { login: grant.login }
  const uid = grant.user === undefined ? undefined : userId(grant.user, uidOf)
  return uid === undefined ? undefined : { uid }
}

/**
 * Users that have the service by the operator's word or by SOFA's mesh API, in any spelling (Host has no case); an
 * application without a user is nobody's, but at its own address it is whoever is there.
 */
export function usersOfService(
  applications: readonly Application[],
  service: ServiceName,
  at: { readonly address: string; readonly port: number },
  uidOf: UidOf,
): (number | undefined)[] {
  const key = serviceKey(service).toLowerCase()
  return applications.flatMap((one): (number | undefined)[] => {
    if (one.source === 'face' || serviceKey(one.service).toLowerCase() !== key) return []
    if (one.sofa !== undefined) return [one.sofa.owner]
    if (one.user !== undefined) return [userId(one.user, uidOf)]
    return one.address === at.address && one.port === at.port ? [] : [undefined]
  })
}

export function servicesOfUser(
  applications: readonly Application[],
  uid: number,
  namespace: string,
  uidOf: UidOf,
): string[] {
  return applications.flatMap(({ service, source, user }) =>
    source === 'file' && user !== undefined && service.namespace === namespace && userId(user, uidOf) === uid
      ? [service.name]
      : [],
  )
}
