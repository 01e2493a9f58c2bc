/**
 * HTTP paths below the context path `/nacos`, by server line. 2.x has v1 and v2; 3.0 and 3.1 v3 and part of v1; 3.2 and
 * later v3 alone.
 */
export const contextPath = '/nacos'

export const httpPaths = {
  v1: {
    login: '/v1/auth/login',
    loginUsers: '/v1/auth/users/login',
    instance: '/v1/ns/instance',
    instanceList: '/v1/ns/instance/list',
    beat: '/v1/ns/instance/beat',
    service: '/v1/ns/service',
    serviceList: '/v1/ns/service/list',
    metrics: '/v1/ns/operator/metrics',
    servers: '/v1/ns/operator/servers',
    config: '/v1/cs/configs',
    configListener: '/v1/cs/configs/listener',
  },
  v2: {
    instance: '/v2/ns/instance',
    instanceList: '/v2/ns/instance/list',
    beat: '/v2/ns/instance/beat',
    serviceList: '/v2/ns/service/list',
    config: '/v2/cs/config',
  },
  v3: {
    login: '/v3/auth/user/login',
    instance: '/v3/client/ns/instance',
    instanceList: '/v3/client/ns/instance/list',
    config: '/v3/client/cs/config',
    readiness: '/v3/admin/core/state/readiness',
  },
} as const
