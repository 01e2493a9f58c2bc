/** What centers have to know of this host's Nacos face before control dies. */
import { serviceKey } from '../../../../contracts/endpoint.ts'
import { interfaceAddresses } from '../../../../contracts/listening-at.ts'
import { reportedFaceBounds, type HeldService, type ReportedFace } from '../../../../contracts/reported-face.ts'
import type { Control } from '../../control.ts'
import type { Application } from '../applications/application.ts'
import { userId } from '../applications/source-apps.ts'
import { facePolicy } from '../face-policy.ts'

type UidOf = (name: string) => number | undefined

/**
 * undefined = there is no face. What is too long to be told leaves the face without a center, not without its rules.
 */
export function reportedFace(control: Pick<Control, 'config' | 'host' | 'deps'>): ReportedFace | undefined {
  const { config, deps, host } = control
  if (!config.nacosFace.enabled) return undefined
  // whoever opened the face was told of grants to nobody
  const policy = facePolicy(config, deps.uidOf, () => undefined)
  const addresses = interfaceAddresses()
  const face: ReportedFace = {
    addresses: [...new Set([config.host.address, ...addresses])].slice(0, reportedFaceBounds.addresses),
    hostNames: config.nacosFace.hostNames,
    trusted: [...policy.trusted],
    grants: policy.grants.flatMap(({ to, services, maxWeight, ports }) =>
      'uid' in to ? [{ user: to.uid, services, maxWeight, ports }] : [],
    ),
    held: [
      ...host.registrar.applications().flatMap((one) => heldBy(one, deps.uidOf) ?? []),
      // a password proves nothing to a center: of these services nobody is whom they are granted to
      ...policy.grants.flatMap(({ to, services }) =>
        'login' in to ? services.map((service) => ({ service, user: -1, address: '', port: 0 })) : [],
      ),
    ],
  }
  const isWhole = face.held.length <= reportedFaceBounds.held && face.grants.length <= reportedFaceBounds.grants
  return isWhole && Buffer.byteLength(JSON.stringify(face)) <= reportedFaceBounds.bytes ? face : undefined
}

function heldBy({ source, service, sofa, user, address, port }: Application, uidOf: UidOf): HeldService | undefined {
  if (source === 'face') return undefined
  const key = serviceKey(service)
  const named = sofa?.owner ?? (user === undefined ? undefined : userId(user, uidOf))
  if (named !== undefined) return { service: key, user: named, address, port }
  // without a word about its user it is, at its own address, whoever is there
  const isAnybodys = sofa === undefined && user === undefined
  return { service: key, user: -1, address: isAnybodys ? address : '', port: isAnybodys ? port : 0 }
}
