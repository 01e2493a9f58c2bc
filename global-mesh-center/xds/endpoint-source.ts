/** Endpoints of services for agents, by the keys of services. */
import { parseServiceName, serviceKey, type ServiceKey } from '../../contracts/endpoint.ts'
import { encodeAssignment } from '../../registry-adapters/center/wire/load-assignment.ts'
import type { FollowedServices } from './followed-services.ts'
import type { ResourceSource } from './resources.ts'

export class EndpointSource implements ResourceSource {
  private readonly services: Pick<FollowedServices, 'follow'>

  constructor(services: Pick<FollowedServices, 'follow'>) {
    this.services = services
  }

  follow(name: string, onValue: (value: Buffer | undefined) => void): (() => void) | false {
    const service = parseServiceName(name)
    if (service === undefined || serviceKey(service) !== name) return false
    const key = name as ServiceKey
    return this.services.follow(key, service, (now) => onValue(encodeAssignment(key, now)))
  }
}
