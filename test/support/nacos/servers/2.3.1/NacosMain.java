package realnacos;

import com.alibaba.nacos.core.code.ControllerMethodsCache;
import com.alibaba.nacos.plugin.auth.exception.AccessException;
import com.alibaba.nacos.sys.filter.NacosTypeExcludeFilter;
import com.alipay.sofa.jraft.storage.impl.RocksDBLogStorage;
import com.alipay.sofa.jraft.util.StorageOptionsFactory;
import javax.annotation.PostConstruct;
import org.rocksdb.RocksDB;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.FilterType;
import org.springframework.context.annotation.Import;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.ResponseEntity;
import org.springframework.scheduling.annotation.EnableScheduling;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.ExceptionHandler;

/** Naming, config, core and the auth plugin of Nacos 2.3.1 in one Spring context, without the console module. */
@Configuration
@EnableAutoConfiguration
@ComponentScan(basePackages = "com.alibaba.nacos",
        excludeFilters = @ComponentScan.Filter(type = FilterType.CUSTOM, classes = NacosTypeExcludeFilter.class))
@ServletComponentScan(basePackages = "com.alibaba.nacos")
@EnableScheduling
@Import(NacosMain.Denied.class)
public class NacosMain {

    private final ControllerMethodsCache methods;

    public NacosMain(ControllerMethodsCache methods) {
        this.methods = methods;
    }

    /** The console module's job: without it v1 naming answers 501 and the HTTP auth filter checks nothing. */
    @PostConstruct
    public void init() {
        methods.initClassMethod("com.alibaba.nacos.core.controller");
        methods.initClassMethod("com.alibaba.nacos.naming.controllers");
        methods.initClassMethod("com.alibaba.nacos.config.server.controller");
        methods.initClassMethod("com.alibaba.nacos.plugin.auth.impl.controller");
    }

    /** Also the console module's job: without it a wrong password is answered with HTTP status 0. */
    @ControllerAdvice
    @Order(Ordered.HIGHEST_PRECEDENCE)
    public static class Denied {

        @ExceptionHandler(AccessException.class)
        public ResponseEntity<String> denied(AccessException e) {
            return ResponseEntity.status(403).body(e.getErrMsg());
        }
    }

    /** The launcher holds our standard input: when it is gone, so are we, however it ended. */
    private static void endWithParent() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // nothing is ever sent
                }
            } catch (java.io.IOException e) {
                // the same as its end
            }
            Runtime.getRuntime().halt(0);
        });
        watch.setDaemon(true);
        watch.start();
    }

    public static void main(String[] args) {
        endWithParent();
        RocksDB.loadLibrary();
        // Otherwise each of the three Raft logs preallocates 145 MB of disk while the server runs.
        StorageOptionsFactory.registerRocksDBOptions(RocksDBLogStorage.class,
                StorageOptionsFactory.getDefaultRocksDBOptions().setAllowFAllocate(false));
        SpringApplication.run(NacosMain.class, args);
    }
}
