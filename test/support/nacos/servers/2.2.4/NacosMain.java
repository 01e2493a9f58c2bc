package realnacos;

import com.alibaba.nacos.core.code.ControllerMethodsCache;
import com.alipay.sofa.jraft.storage.impl.RocksDBLogStorage;
import com.alipay.sofa.jraft.util.StorageOptionsFactory;
import javax.annotation.PostConstruct;
import org.rocksdb.RocksDB;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.FilterType;
import org.springframework.scheduling.annotation.EnableScheduling;

/** Naming, config and core of Nacos 2.2.4 in one Spring context, without console and auth plugin. */
@Configuration
@EnableAutoConfiguration(excludeName = {
    "org.springframework.boot.autoconfigure.security.servlet.SecurityAutoConfiguration",
    "org.springframework.boot.autoconfigure.security.servlet.SecurityFilterAutoConfiguration",
    "org.springframework.boot.autoconfigure.security.servlet.UserDetailsServiceAutoConfiguration",
    "org.springframework.boot.actuate.autoconfigure.security.servlet.ManagementWebSecurityAutoConfiguration"})
@ComponentScan(basePackages = "com.alibaba.nacos",
        excludeFilters = @ComponentScan.Filter(type = FilterType.ANNOTATION, classes = SpringBootApplication.class))
@ServletComponentScan(basePackages = "com.alibaba.nacos")
@EnableScheduling
public class NacosMain {

    private final ControllerMethodsCache methods;

    public NacosMain(ControllerMethodsCache methods) {
        this.methods = methods;
    }

    /** The console module's job: without it v1 naming answers 501. */
    @PostConstruct
    public void init() {
        methods.initClassMethod("com.alibaba.nacos.core.controller");
        methods.initClassMethod("com.alibaba.nacos.naming.controllers");
        methods.initClassMethod("com.alibaba.nacos.config.server.controller");
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
