/** The five questions of SOFARPC's registry `mesh` (its `MeshEndpoint`). */
import { formatHostPort } from '../../config/scalars.ts'
import { operation, type Operation } from './face-server.ts'
import type { Publications } from './publications.ts'
import { applicationRequest, publishRequest, serviceRequest } from './requests.ts'

export interface OperationsDeps {
  readonly publications: Pick<Publications, 'publish' | 'unpublish' | 'serviceOf' | 'shareOf'>
  readonly names: { ask(name: string, caller?: string): void }
  readonly address: string
  readonly boltPort: number
}

export function sofaOperations({ address, boltPort, names, publications }: OperationsDeps): Record<string, Operation> {
  return {
    // who asks is known by its connection
    '/configs/application': operation(applicationRequest, () => ({})),
    '/services/publish': operation(publishRequest, async (request, caller) => {
      await publications.publish(request, caller)
      return {}
    }),
    '/services/unpublish': operation(serviceRequest, async (request, caller) => {
      await publications.unpublish(request, caller)
      return {}
    }),
    '/services/subscribe': operation(serviceRequest, (request, caller) => {
      const { name } = publications.serviceOf(request)
      // as its first request would: whoever calls keeps it, and who does not is forgotten
      names.ask(name, publications.shareOf(caller))
      const here = formatHostPort({ host: address, port: boltPort })
      return { serviceName: request.serviceName, datas: [`${here}?p=1&v=4.0`] }
    }),
    '/services/unsubscribe': operation(serviceRequest, () => ({})),
  }
}
