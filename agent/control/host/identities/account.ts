/** Which name an application has towards others: Istio's namespace and service account. */
import { isPathSegment, workloadId } from '../../../../contracts/spiffe-id.ts'
import type { Application } from '../applications/application.ts'

export interface Account {
  readonly namespace: string
  readonly account: string
}

/**
 * `identity` of the application's file; where it is silent, the namespace of the host's configuration and the name of
 * the service. Undefined for a name that cannot stand in a certificate: then the account must be written down.
 */
export function accountOf(
  application: Pick<Application, 'identity' | 'service'>,
  namespace: string,
): Account | undefined {
  const { identity, service } = application
  const account = identity?.account ?? service.name
  return isPathSegment(account) ? { namespace: identity?.namespace ?? namespace, account } : undefined
}

export function identityOf(
  application: Pick<Application, 'identity' | 'service'>,
  namespace: string,
  trustDomain: string,
): string | undefined {
  const found = accountOf(application, namespace)
  return found === undefined ? undefined : workloadId(trustDomain, found.namespace, found.account)
}
